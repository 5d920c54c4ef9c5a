"""What a python3 script without a lock says that it needs, for agents that cannot find it out themselves.

Only what it says in words of its own: `# requirements:` with a list below it, and its version of Python. Its
imports are not looked at (agent-api.md 3.3, openflow.md 6.4).
"""

import re
from itertools import takewhile
from typing import Final

from msgspec import Struct

LIST: Final = re.compile(r"#\s*requirements:\s*")
VERSION: Final = re.compile(r"#\s*py(?::\s*(?:==\s*)?(3\.\d+)|(3)(\d\d))\s*")
BODY: Final = re.compile(r"^(async )?def main\(", re.MULTILINE)


class PythonNeeds(Struct):
    """As an agent reads it; `py_version` is for agents of old."""

    py_version_v2: str | None
    requirements: str | None  # one to a line
    py_version: int | None = None


def needs_of(code: str) -> PythonNeeds | None:
    """None when the script says nothing. Pure."""
    body = BODY.search(code)
    head = [line.strip() for line in code[: body.start() if body else len(code)].splitlines()]
    version = next((match for line in head if (match := VERSION.fullmatch(line))), None)
    named = version and (version[1] or f"{version[2]}.{version[3]}")
    requirements = _listed(head)
    if not named and not requirements:
        return None
    return PythonNeeds(named or None, "\n".join(requirements) or None)


def _listed(head: list[str]) -> list[str]:
    start = next((at for at, line in enumerate(head) if LIST.fullmatch(line)), None)
    if start is None:
        return []
    below = takewhile(lambda line: line.startswith("#"), head[start + 1 :])
    return [text for line in below if (text := line.removeprefix("#").strip())]
