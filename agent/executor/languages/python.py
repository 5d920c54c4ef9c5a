"""python3 (agent-api.md 7.4): the script is a module whose `main(**args)` a wrapper calls."""

import functools
import re
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from agent.executor import results
from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.language import Exit, Verdict, failure, interpreter
from agent.executor.task import Task

NO_PATH: Final = "script"  # the module's name for code that has no path


class Python:
    setting = "PYTHON_PATH"
    result_is_last_line = False

    def __init__(self, path: str | None) -> None:
        self._path = path

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        python = interpreter(self._path, "python3", self.setting)
        parts = module_parts(task.path)
        for path, code in task.scripts.items():  # where its imports look for them
            directory.write("/".join(module_parts(path)) + ".py", code.encode())
        directory.write("/".join(parts) + ".py", task.code.encode())
        directory.write("args.json", task.args if args else b"{}")
        directory.write("wrapper.py", _wrapper())
        # -B: the wrapper runs once, so compiled code of it is of no use to anybody.
        return [python, "-u", "-B", "-m", "wrapper", ".".join(parts)]

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        """result.json, which the wrapper writes for a returned value and for an exception alike."""
        try:
            found = results.document(directory.path / "result.json", most_bytes)
        except JobFailed as failed:
            if exit_.code == 0 or failed.name == "ResultTooLarge":
                raise
            found = b""  # it died while writing
        if exit_.code != 0:
            return Verdict(False, found or failure("python run", exit_))
        if not found:
            raise JobFailed("BadResult", "python3 ended before main returned, so there is no result")
        return Verdict(True, found)


def module_parts(path: str | None) -> list[str]:
    """Where the script stands as a module: path segments are packages, and `-` becomes `_`."""
    segments = [part for part in (path or "").split("/") if part not in ("", ".", "..")]
    parts = [re.sub(r"\W", "_", part) for part in segments] or [NO_PATH]
    if parts[0] in sys.stdlib_module_names or parts[0] == "wrapper":
        parts[0] += "_"  # or the script would stand in the way of what it imports
    return parts


@functools.cache
def _wrapper() -> bytes:
    return Path(__file__).with_name("wrapper_python.py").read_bytes()
