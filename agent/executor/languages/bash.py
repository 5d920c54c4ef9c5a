"""bash (agent-api.md 7.3): positional arguments, merged output, and where the result is read from."""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.executor.task import CannotRun

_PARAMETER = re.compile(r'^\s*(?:local\s+)?(\w+)="\$\{?(\d+)(?::-[^}]*)?\}?"', re.MULTILINE)
LAST_LINES_CHARS = 600


def prepare(folder: Path, code: str, args: Mapping[str, Any], interpreter: str | None) -> Sequence[str]:
    """Write `main.sh`; return the command line."""
    if interpreter is None:
        raise CannotRun("MissingInterpreter", "bash is not on this machine; install it or set BASH_PATH")
    (folder / "main.sh").write_text("set -e\n" + code)
    return [interpreter, "main.sh", *(_text(args.get(name)) for name in parameters(code))]


def parameters(code: str) -> list[str]:
    """The names of `name="$1"` lines, in the order of their numbers."""
    found = {int(number): name for name, number in _PARAMETER.findall(code)}
    return [found.get(number, "") for number in range(1, max(found, default=0) + 1)]


def result(folder: Path, exit_code: int, tail: str) -> bytes:
    """The result document, or the error object when `exit_code` is not 0. `tail`: the end of the output."""
    document = _content(folder / "result.json")
    if document:
        return document
    if exit_code != 0:
        message = f'exit code for "bash run": {exit_code}, last log lines:\n{tail[-LAST_LINES_CHARS:]}'
        return json.dumps({"message": message, "name": "ExecutionErr", "exit_code": exit_code}).encode()
    text = _content(folder / "result.out")
    if text:
        return json.dumps(text.decode("utf-8", "replace")).encode()
    lines = tail.strip().splitlines()
    return json.dumps(lines[-1].strip() if lines else "").encode()


def _text(value: Any) -> str:
    """A string as it is; nothing for a missing value; any other JSON as its text."""
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""
