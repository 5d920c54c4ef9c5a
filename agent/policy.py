"""What a site runs, whatever it is sent: its owner's word, in a file that no job and no cluster writes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from reprlib import repr as shown
from typing import Any, Final

from agent import owned_toml
from agent.executor.limits import Limits
from agent.wire.messages import Job

LISTS: Final = ("languages", "paths", "tags", "users")
LIMITS: Final = (
    "timeout_s", "memory_mb", "processes", "open_files", "file_mb", "folder_mb", "output_mb", "result_mb"
)  # fmt: skip
MIB: Final = 1024 * 1024
DEFAULTS: Final = Limits()


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """None allows everything, an empty list nothing. `*` and `?` stand for any text and any character."""

    languages: Sequence[str] | None = None
    paths: Sequence[str] | None = None
    tags: Sequence[str] | None = None
    users: Sequence[str] | None = None  # of whoever the job acts for, such as u/ana or g/all
    most: dict[str, int] = field(default_factory=dict)  # by the names of LIMITS

    def why_not(self, job: Job) -> str:
        """Why the site does not run this job; empty when it does."""
        asked = {
            "languages": ("language", job.language),
            "paths": ("path", job.path or ""),
            "tags": ("tag", job.tag),
            "users": ("user", job.permissioned_as),
        }
        for name, (what, value) in asked.items():
            allowed = getattr(self, name)
            if allowed is not None and not any(fnmatchcase(value, pattern) for pattern in allowed):
                return f"the policy of this site allows no {what} {shown(value)}"
        most_s = self.most.get("timeout_s")
        if most_s is not None and (job.timeout_s or 0) > most_s:
            return f"the policy of this site allows {most_s} s, and the job asks for {job.timeout_s:g}"
        return ""

    def limits(self, limits: Limits) -> Limits:
        """The same, no larger than the site allows. What is only our default, the site may raise, too."""
        most = self.most

        def chosen(name: str) -> int | None:
            own, told = getattr(limits, name), most.get(name)
            return told if told is not None and own == getattr(DEFAULTS, name) else _least(own, told)

        return Limits(
            memory_mb=chosen("memory_mb"),
            processes=chosen("processes"),
            open_files=chosen("open_files"),
            file_mb=chosen("file_mb"),
            folder_mb=chosen("folder_mb"),
            output_bytes=min(limits.output_bytes, most.get("output_mb", limits.output_bytes) * MIB),
            result_bytes=min(limits.result_bytes, most.get("result_mb", limits.result_bytes) * MIB),
            default_timeout_s=limits.default_timeout_s,
            max_timeout_s=min(limits.max_timeout_s, most.get("timeout_s", limits.max_timeout_s)),
            kill_grace_s=limits.kill_grace_s,
        )


def policy_of(path: Path) -> Policy:
    """Raises ValueError, which names the file, what is wrong and what is wanted."""
    told = owned_toml.read(path)
    unknown = told.keys() - {*LISTS, "limits"}
    if unknown:
        raise ValueError(f"{path}: {min(unknown)} is unknown; known are {', '.join(LISTS)} and [limits]")
    return Policy(
        **{name: _texts(path, name, told[name]) for name in LISTS if name in told},
        most=_most(path, told.get("limits", {})),
    )


def _texts(path: Path, name: str, told: Any) -> tuple[str, ...]:
    if not isinstance(told, list) or not all(isinstance(one, str) for one in told):
        raise ValueError(f'{path}: {name} must be a list of texts such as ["f/shop/*"]')
    return tuple(told)


def _most(path: Path, told: Any) -> dict[str, int]:
    if not isinstance(told, dict) or told.keys() - set(LIMITS):
        raise ValueError(f"{path}: [limits] knows {', '.join(LIMITS)}")
    for name, value in told.items():
        if type(value) is not int or value < 1:
            raise ValueError(f"{path}: {name} must be a whole number above 0, not {value!r:.60}")
    return told


def _least(one: int | None, other: int | None) -> int | None:
    return min((each for each in (one, other) if each is not None), default=None)
