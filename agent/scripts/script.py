"""Scripts of the site itself, from the agent's environment: one at its start, one again and again."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

LEAST_EVERY_S: Final = 60
INIT_MOST_S: Final = 3600.0  # a start that takes longer hangs
INIT: Final = "INIT_SCRIPT"
PERIODIC: Final = "PERIODIC_BASH_SCRIPT"  # the name that users know; python3 as well
EVERY: Final = "PERIODIC_BASH_SCRIPT_INTERVAL_SECONDS"
_SHEBANG: Final = re.compile(r"#!.*?\b(?P<program>python|bash|sh)[\d.]*(?:\s|$)")
_MAIN: Final = re.compile(r"^(?:async\s+)?def\s+main\b|^main\s*=", re.MULTILINE)


class Kind(StrEnum):
    INIT = "init_script"
    PERIODIC = "periodic_script"


@dataclass(frozen=True, slots=True)
class Script:
    kind: Kind
    content: str
    most_s: float  # how long it may take
    every_s: float = 0.0  # from one beginning to the next; 0: it runs once

    @property
    def language(self) -> str:
        """By its first line; bash without one."""
        found = _SHEBANG.match(self.content)
        return "python3" if found and found["program"] == "python" else "bash"

    @property
    def code(self) -> str:
        """As the executor wants it: a python3 script need not have a `main` here."""
        if self.language != "python3" or _MAIN.search(self.content):
            return self.content
        return f"{self.content}\n\ndef main(): pass\n"


def scripts_of(env: Mapping[str, str]) -> tuple[Script, ...]:
    """Raises ValueError, which names the setting, what it needs and what it got."""
    found = []
    if init := _content(env, INIT):
        found.append(Script(Kind.INIT, init, INIT_MOST_S))
    periodic, every = _content(env, PERIODIC), env.get(EVERY, "").strip()
    if bool(periodic) != bool(every):
        raise ValueError(f"{PERIODIC} and {EVERY} belong together; set both or neither")
    if periodic:
        if not every.isascii() or not every.isdecimal() or int(every) < LEAST_EVERY_S:
            raise ValueError(
                f"{EVERY} must be a whole number of seconds from {LEAST_EVERY_S} on, not {every!r}"
            )
        found.append(Script(Kind.PERIODIC, periodic, float(every), float(every)))
    return tuple(found)


def _content(env: Mapping[str, str], name: str) -> str:
    content = env.get(name, "").strip("\r\n")
    first = content.partition("\n")[0]
    if first.startswith("#!") and not _SHEBANG.match(first):
        raise ValueError(f"{name} must be a script for bash or python3, and begins with {first[:60]!r}")
    return content
