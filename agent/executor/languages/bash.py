"""bash (agent-api.md 7.3): positional arguments, and where the result is read from."""

import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.executor.directory import JobDirectory
from agent.executor.languages.language import Exit, Verdict, interpreter
from agent.executor.languages.lines import last_line_verdict
from agent.executor.task import Task

MAX_POSITION: Final = 999
_PARAMETER: Final = re.compile(
    r"""^[ \t]*(?:(?:local|export|readonly|declare)[ \t]+)?   # name="$1", or declared
        (?P<name>\w+)="\$(?:(?P<plain>\d{1,3})|\{(?P<braced>\d{1,3})(?::-.*)?\})"   # or "${1:-default}"
    """,
    re.MULTILINE | re.VERBOSE,
)
_GATE: Final = (  # see `Language.prepare`
    'IFS= read -r; for REPLY in $REPLY; do ulimit "${REPLY%=*}" "${REPLY#*=}"; done; unset REPLY; '
    "exec < /dev/null"
)
_ESCAPED: Final = str.maketrans({"\\": r"\\", "'": r"\'", "\n": r"\n", "\r": r"\r", "\0": None})


class Bash:
    """One process: what a wrapper script would do, the parent does while it reads the output."""

    setting = "BASH_PATH"
    result_is_last_line = True

    def __init__(self, path: str | None) -> None:
        self._path = path

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        command = [interpreter(self._path, "bash", self.setting), "main.sh"]
        directory.write("main.sh", script(task.code, [_text(args, name) for name in parameters(task.code)]))
        return command

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        return last_line_verdict(directory, exit_, most_bytes, "bash run")


def parameters(code: str) -> list[str]:
    """The names of `name="$1"` lines in the order of their numbers; "" where a number is missing."""
    found: dict[int, str] = {}
    for match in _PARAMETER.finditer(code):
        found.setdefault(int(match["plain"] or match["braced"]), match["name"])
    return [found.get(number, "") for number in range(1, max(found, default=0) + 1)]


def script(code: str, positional: Sequence[str]) -> bytes:
    """The content of main.sh. All of ours is on its first line, so that line numbers stay true.

    The arguments stand in the file and not on the command line: there each may have 128 KiB at
    most, and every user of the machine can read them.
    """
    setting = "set -- " + " ".join(f"$'{text.translate(_ESCAPED)}'" for text in positional)
    return f"set -e; {_GATE}; {setting + '; ' if positional else ''}{code}".encode()


def _text(args: Mapping[str, Any], name: str) -> str:
    """A string as it is, any other JSON as its text, nothing for what is missing."""
    if name not in args:
        return ""
    value = args[name]
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
