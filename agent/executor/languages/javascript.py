"""JavaScript and TypeScript (agent-api.md 7.4): a module whose `main` a wrapper calls."""

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.executor import results
from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.gate import gated, is_program, program
from agent.executor.languages.language import Exit, Verdict
from agent.executor.languages.lines import error_of
from agent.executor.task import Task

HERE: Final = Path(__file__).parent
SCRIPT: Final = "main.ts"
WITH_VERSION: Final = re.compile(
    r"[\"'](?:npm:|(?:@[\w.~-]+/)?[\w~][\w.~-]*@)"
)  # a package, as node knows none


@dataclass(frozen=True, slots=True)
class Engine:
    """A program that runs modules."""

    name: str
    setting: str
    options: tuple[str, ...] = ()
    strips_types: bool = True  # all that TypeScript has, in a file that ends in .ts


# One way for every node: the types are taken out before it sees the script. What newer ones do themselves
# leaves enums in, and imports of types.
NODE: Final = Engine("node", "NODE_BIN", strips_types=False)
BUN: Final = Engine("bun", "BUN_PATH", ("run", "--no-install"))
DENO: Final = Engine("deno", "DENO_PATH", ("run", "--allow-all", "--no-prompt", "--quiet", "--no-lock"))
ENGINES: Final[Mapping[str, tuple[Engine, ...]]] = {  # by language, the best first
    "bun": (BUN, NODE),
    "bunnative": (NODE, BUN, DENO),
    "nativets": (NODE, BUN, DENO),
    "deno": (DENO,),
}


class JavaScript:
    result_is_last_line = False

    def __init__(self, engine: Engine, path: str | None) -> None:
        self._engine = engine
        self._path = path
        self.setting = engine.setting

    @property
    def why_not(self) -> str:
        return "" if is_program(self._path) else f"no {self._engine.name} ({self.setting})"

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        engine = self._engine
        path = program(self._path, engine.name, self.setting)
        directory.write(SCRIPT, task.code.encode())
        directory.write("args.json", task.args if args else b"{}")
        directory.write("wrapper.mjs", _content("wrapper_javascript.mjs"))
        if task.packages:
            directory.link("node_modules", f"{task.packages}/node_modules")
        for script, code in task.scripts.items():
            directory.write(_file_of(script), code.encode())
        if not engine.strips_types:
            directory.write("strip.mjs", _content("vendor/sucrase.min.mjs"))
            if task.scripts or WITH_VERSION.search(task.code):
                directory.write("hooks.mjs", _content("hooks_javascript.mjs"))
        return gated(directory, [path, *engine.options, "./wrapper.mjs"])

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        """result.json, which the wrapper writes for a returned value and for an exception alike."""
        return judged(directory, exit_, most_bytes, "main returned")


def judged(directory: JobDirectory, exit_: Exit, most_bytes: int, what_is_missing: str) -> Verdict:
    """Where a wrapper of ours writes result.json. Raises `JobFailed`."""
    if exit_.code != 0:
        return Verdict(False, error_of(directory, exit_, most_bytes, "script run"))
    found = results.document(directory.path / "result.json", most_bytes)
    if not found:
        raise JobFailed("BadResult", f"the script ended before {what_is_missing}, so there is no result")
    return Verdict(True, found)


def _file_of(path: str) -> str:
    """Of a script that is imported, below the job's directory."""
    return "/".join(part for part in path.split("/") if part not in ("", ".", "..")) + ".ts"


@functools.cache
def _content(name: str) -> bytes:
    return (HERE / name).read_bytes()
