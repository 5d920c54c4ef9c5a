"""What one python3 script says that it needs (openflow.md 6.4): in words of its own, else by its imports.

Pure. `# requirements:` with a list below it, or the inline metadata of PEP 723, are all that counts where
they stand; else the imports at the top, and what `# extra_requirements:` adds to them.
"""

import re
import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from itertools import takewhile
from typing import Any, Final

from bridge.dependencies.python_imports import Import, before_main, imports_of
from bridge.dependencies.python_names import distribution_of, is_standard

LIST: Final = re.compile(r"#\s*requirements:\s*")
EXTRA: Final = re.compile(r"#\s*extra_requirements:\s*")
VERSION: Final = re.compile(r"#\s*py(?::\s*(?P<said>[\d.=!<>~,*\s]+)|3(?P<minor>\d\d))\s*")
METADATA: Final = ("# /// script", "# ///")  # its first line, and its last
REMEMBERED: Final = 64  # scripts: one is looked at when it is deployed, locked, handed out, imported


class Rank(IntEnum):
    """Of the requirements for one module only those of the highest rank count."""

    SAID = 0  # by its import, or in a list
    PIN = 1
    REPIN = 2


@dataclass(frozen=True, slots=True)
class Requirement:
    module: str  # for which it is; of a list: its own text
    text: str
    rank: Rank = Rank.SAID


@dataclass(frozen=True, slots=True)
class Needs:
    requirements: tuple[Requirement, ...]
    scripts: tuple[Import, ...]  # of the workspace
    versions: tuple[str, ...]  # of Python, that it asks for: `>=3.12`
    wrong: str | None = None  # what cannot be read, for its author

    @property
    def asks_version(self) -> bool:
        return bool(self.versions)


@lru_cache(maxsize=REMEMBERED)
def needs_of(code: str) -> Needs:
    """Never raises: what cannot be read is in `wrong`."""
    imports = imports_of(code)
    scripts = tuple(one for one in imports if one.is_relative)
    lines = [line.strip() for line in before_main(code).splitlines()]
    try:
        metadata = _metadata(code)
    except tomllib.TOMLDecodeError as error:
        return Needs((), scripts, (), f"the `# /// script` block is no TOML: {error}")
    versions = tuple(_versions(lines, metadata))
    listed = _below(lines, LIST)
    if listed is None and metadata is not None:
        found = metadata.get("dependencies", [])
        listed = [one for one in found if isinstance(one, str)] if isinstance(found, list) else []
    if listed is not None:
        return Needs(tuple(Requirement(one, one) for one in listed), scripts, versions)
    extra = [Requirement(one, one) for one in _below(lines, EXTRA) or ()]
    ours = [one for one in imports if not one.is_relative and _is_to_install(one)]
    taken = dict.fromkeys(requirement for one in ours for requirement in _requirements(one))
    return Needs((*taken, *extra), scripts, versions)


def _is_to_install(one: Import) -> bool:
    return one.pin is not None or not is_standard(one.module.split(".")[0])


def _requirements(one: Import) -> Iterator[Requirement]:
    top = one.module.split(".")[0]
    if one.pin is not None:
        yield Requirement(top, one.pin, Rank.REPIN if one.is_repin else Rank.PIN)
        return
    for name in one.names or ("",):  # `from google.cloud import storage` says what it needs by what it takes
        yield Requirement(top, distribution_of(f"{one.module}.{name}"))


def _below(lines: Sequence[str], heading: re.Pattern[str]) -> list[str] | None:
    """The comment lines right below the heading; None where there is no such heading."""
    start = next((at for at, line in enumerate(lines) if heading.fullmatch(line)), None)
    if start is None:
        return None
    below = takewhile(lambda line: line.startswith("#") and not _is_heading(line), lines[start + 1 :])
    texts = (line.removeprefix("#").split(" #")[0].strip() for line in below)
    return [text for text in texts if text]


def _is_heading(line: str) -> bool:
    return any(one.fullmatch(line) for one in (LIST, EXTRA, VERSION)) or line.startswith("# ///")


def _versions(lines: Sequence[str], metadata: dict[str, Any] | None) -> Iterator[str]:
    said = next((found for line in lines if (found := VERSION.fullmatch(line))), None)
    if said is not None:
        yield said["said"].strip() if said["said"] else f"3.{int(said['minor'])}"
    if metadata is not None and isinstance(metadata.get("requires-python"), str):
        yield metadata["requires-python"]


def _metadata(code: str) -> dict[str, Any] | None:
    """Of PEP 723; None where there is none. Raises `TOMLDecodeError`."""
    lines = [line.rstrip() for line in code.splitlines()]
    begin, end = METADATA
    if begin not in lines:
        return None
    block = list(takewhile(lambda line: line[:2] in ("#", "# "), lines[lines.index(begin) + 1 :]))
    if end not in block:
        return None
    return tomllib.loads("\n".join(line[2:] for line in block[: block.index(end)]))
