"""Languages that the site declares itself, each on one line of a file (docs/languages.md)."""

import json
import re
import shutil
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent import owned_toml
from agent.executor import results
from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.gate import gated
from agent.executor.languages.language import Exit, Verdict
from agent.executor.languages.lines import error_of, last_line_verdict
from agent.executor.task import Task

SETTING: Final = "LANGUAGES_FILE"
EXAMPLE: Final = 'ruby = { command = ["ruby", "{file}"], file = "main.rb", args = "file", result = "file" }'
ARGS: Final = ("file", "env", "stdin", "argv")
RESULTS: Final = ("file", "last_line")
OURS: Final = ("args.json", "result.json", "result.out", "gate.sh", "shared")  # in each job's directory
ARGV_BYTES_MAX: Final = 100_000  # the kernel takes 128 KiB in one word of a command line
_NAME: Final = re.compile(r"[a-z][a-z0-9_+-]{0,39}")
_FILE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,99}")
_VARIABLE: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True, kw_only=True)
class Declared:
    """One line. `args`: args.json, variables ARG_<name>, standard input, or the last word of the command."""

    name: str
    command: tuple[str, ...]  # {file} stands for the script
    file: str  # what the script is written to, in the job's directory
    args: str = "file"
    result: str = "last_line"

    setting = SETTING

    @property
    def result_is_last_line(self) -> bool:
        return self.result == "last_line"

    @property
    def why_not(self) -> str:
        return "" if self._program() else f"no {self.command[0]} ({SETTING})"

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        program = self._program()
        if program is None:
            raise JobFailed(
                "InterpreterMissing",
                f"{self.command[0]} is not on this machine, or may not be run; install it or mend the "
                f"line of {self.name} in {SETTING}",
            )
        directory.write(self.file, task.code.encode())
        text = task.args if args else b"{}"
        directory.write("args.json", text)
        command = [program, *(word.replace("{file}", self.file) for word in self.command[1:])]
        if self.args == "argv":
            command.append(_word(text))
        before = exports(args) if self.args == "env" else ""
        from_args = "args.json" if self.args == "stdin" else "/dev/null"
        return gated(directory, command, before=before, standard_input=from_args)

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        run = f"{self.name} run"
        if self.result_is_last_line:
            return last_line_verdict(directory, exit_, most_bytes, run)
        if exit_.code != 0:
            return Verdict(False, error_of(directory, exit_, most_bytes, run))
        found = results.document(directory.path / "result.json", most_bytes)
        if not found:
            raise JobFailed("BadResult", f"the {self.name} script ended without a result.json")
        return Verdict(True, found)

    def _program(self) -> str | None:
        return shutil.which(self.command[0])


def exports(args: Mapping[str, Any]) -> str:
    """Shell text that sets ARG_<name>: a string as it is, other JSON as its text. Raises `JobFailed`."""
    lines = []
    for name, value in args.items():
        if not _VARIABLE.fullmatch(name):
            raise JobFailed(
                "BadArguments", f"the argument {name!r} cannot be the name of a variable; rename it"
            )
        text = (
            value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        )
        quoted = text.replace("\0", "").replace("'", "'\\''")
        lines.append(f"export ARG_{name}='{quoted}'\n")
    return "".join(lines)


def _word(text: bytes) -> str:
    if len(text) > ARGV_BYTES_MAX:
        raise JobFailed(
            "BadArguments",
            f"the arguments have {len(text)} bytes, and a command line takes {ARGV_BYTES_MAX}; "
            'declare the language with args = "file"',
        )
    return text.decode()


def declared_in(path: Path, taken: Collection[str]) -> dict[str, Declared]:
    """The languages of a file. `taken`: names that are ours. Raises ValueError, which says what is wrong."""
    told = owned_toml.read(path, f"; a line is such as: {EXAMPLE}")
    found = {}
    for name, line in told.items():
        if name in taken:
            raise ValueError(f"{path}: {name} is built in, and not to be declared")
        try:
            found[name] = _declared(name, line)
        except ValueError as error:
            raise ValueError(f"{path}: {name}: {error}; a line is such as: {EXAMPLE}") from None
    return found


def _declared(name: str, line: Any) -> Declared:
    if not _NAME.fullmatch(name):
        raise ValueError("a language's name has small letters, digits, _, + and - only")
    if not isinstance(line, dict):
        raise ValueError("a table with command and file is wanted")  # noqa: TRY004 the file is wrong, not us
    if unknown := line.keys() - {"command", "file", "args", "result"}:
        raise ValueError(f"{min(unknown)} is unknown; known are command, file, args and result")
    command, file = line.get("command"), line.get("file")
    if not isinstance(command, list) or not command or not all(isinstance(word, str) for word in command):
        raise ValueError('command must be a list of words such as ["ruby", "{file}"]')
    if not any("{file}" in word for word in command[1:]):
        raise ValueError("command must say where the script's name goes: {file}")
    if not isinstance(file, str) or not _FILE.fullmatch(file) or file in OURS:
        raise ValueError("file must be a plain file name such as main.rb, and none of ours")
    return Declared(
        name=name,
        command=tuple(command),
        file=file,
        args=_one_of("args", line.get("args", "file"), ARGS),
        result=_one_of("result", line.get("result", "last_line"), RESULTS),
    )


def _one_of(name: str, value: object, known: Sequence[str]) -> str:
    if value not in known:
        raise ValueError(f"{name} must be one of {', '.join(known)}, not {value!r:.60}")
    return str(value)
