"""What was found when something at the site was looked at: a verdict, one line, and how to mend it."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

NAME_CHARS: Final = 16


class Verdict(StrEnum):
    OK = "ok"
    WARN = "warn"  # the agent works; or it could not be looked at
    FAIL = "fail"  # jobs do not run, or results do not leave


@dataclass(frozen=True, slots=True)
class Check:
    name: str
    verdict: Verdict
    said: str  # one line
    mend: str = ""  # one line; empty where there is nothing to mend


def ok(name: str, said: str) -> Check:
    return Check(name, Verdict.OK, said)


def warn(name: str, said: str, mend: str) -> Check:
    return Check(name, Verdict.WARN, said, mend)


def fail(name: str, said: str, mend: str) -> Check:
    return Check(name, Verdict.FAIL, said, mend)


def failed(name: str, error: object) -> Check:
    """Of one of our errors, which say what is wrong, then mostly a semicolon and the mend."""
    said, _, mend = " ".join(str(error).split()).partition("; ")
    return fail(name, said, mend or "correct that, and call this again")


def worst(checks: Sequence[Check]) -> Verdict:
    seen = {check.verdict for check in checks}
    return next((one for one in (Verdict.FAIL, Verdict.WARN) if one in seen), Verdict.OK)


def as_text(checks: Sequence[Check]) -> str:
    lines = []
    for check in checks:
        lines.append(f"{check.verdict:<4}  {check.name:<{NAME_CHARS}}{check.said}")
        if check.mend:
            lines.append(f"{'':6}{'':{NAME_CHARS}}mend: {check.mend}")
    count = {one: sum(check.verdict is one for check in checks) for one in Verdict}
    return "\n".join([*lines, ", ".join(f"{number} {verdict}" for verdict, number in count.items())])


def as_json(checks: Sequence[Check]) -> dict[str, Any]:
    return {"verdict": worst(checks), "checks": [asdict(check) for check in checks]}
