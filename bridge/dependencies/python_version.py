"""Which Python a script is resolved for: what it asks for, else the oldest that agents run on."""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from bridge.dependencies.errors import NotResolved

DEFAULT: Final = "3.11"
KNOWN: Final = ("3.11", "3.12", "3.13", "3.14", "3.10")  # in the order of preference
CLAUSE: Final = re.compile(r"(==|!=|>=|<=|~=|>|<)?\s*(\d+)(?:\.(\d+))?(?:\.(?:\d+|\*))*")

_Version = tuple[int, int]
COMPARED: Final[Mapping[str, Callable[[_Version, _Version], bool]]] = {
    "==": lambda ours, said: ours == said,
    "!=": lambda ours, said: ours != said,
    ">=": lambda ours, said: ours >= said,
    "<=": lambda ours, said: ours <= said,
    ">": lambda ours, said: ours > said,
    "<": lambda ours, said: ours < said,
    "~=": lambda ours, said: ours >= said,
}


def chosen(asked: Iterable[str]) -> str:
    """The version, such as `3.11`, that fits all that was asked for. Raises `NotResolved`.

    Patch releases make no difference: `>=3.11.4` is 3.11.
    """
    wanted = [clause for one in asked for clause in _clauses(one)]
    for version in KNOWN:
        major, minor = map(int, version.split("."))
        if all(COMPARED[compare]((major, minor), said) for compare, said in wanted):
            return version
    said = ", ".join(f"{compare}{major}.{minor}" for compare, (major, minor) in wanted)
    raise NotResolved(f"no Python that we know is {said}; there are {', '.join(sorted(KNOWN))}")


def _clauses(asked: str) -> Iterable[tuple[str, _Version]]:
    for part in asked.split(","):
        if not part.strip():
            continue
        found = CLAUSE.fullmatch(part.strip())
        if found is None:
            raise NotResolved(f"{asked!r} is no version of Python; write for example `# py: >=3.12`")
        yield found[1] or "==", (int(found[2]), int(found[3] or 0))
