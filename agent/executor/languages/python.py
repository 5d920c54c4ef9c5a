"""python3 (agent-api.md 7.4): the script is a module whose `main(**args)` a wrapper calls."""

import json
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from agent.executor.task import CannotRun

WRAPPER = Path(__file__).with_name("wrapper_python.py")


def prepare(folder: Path, code: str, args: Mapping[str, Any], interpreter: str | None) -> Sequence[str]:
    """Write the script, its arguments and the wrapper; return the command line."""
    if interpreter is None:
        raise CannotRun("MissingInterpreter", "python3 is not on this machine; install it or set PYTHON_PATH")
    (folder / "script.py").write_text(code)
    (folder / "args.json").write_text(json.dumps(args))
    shutil.copyfile(WRAPPER, folder / "wrapper.py")
    return [interpreter, "-u", "-m", "wrapper"]


def result(folder: Path, exit_code: int, tail: str) -> bytes:
    """The result document, or the error object that the wrapper left."""
    try:
        document = (folder / "result.json").read_bytes()
    except OSError:
        document = b""
    if document:
        return document
    message = f"python3 ended with exit code {exit_code} and left no result; last log lines:\n{tail[-600:]}"
    return json.dumps({"message": message, "name": "ExecutionErr", "exit_code": exit_code}).encode()
