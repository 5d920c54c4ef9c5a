"""powershell: the script's `param` block names the arguments, and the result is read as bash's is (7.3)."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.gate import gated, is_program, program
from agent.executor.languages.language import Exit, Verdict
from agent.executor.languages.lines import last_line_verdict
from agent.executor.task import Task

INT64: Final = 2**63
_QUOTES: Final = re.compile("(['\u2018\u2019\u201a\u201b])")  # PowerShell takes each for a single quote
# What a call of the script would do, with its arguments as they are: on a command line all would be text.
# `exit 3` in the script sets $? as well; a program that fails in the middle of it does not.
WRAPPER: Final = """\
$ErrorActionPreference = 'Stop'
$ProgressPreference = 'SilentlyContinue'
if ($null -ne $PSStyle) { $PSStyle.OutputRendering = 'PlainText' }
[Console]::OutputEncoding = [System.Text.UTF8Encoding]::new($false)
$given = & ./args.ps1
$taken = @{}
$block = (Get-Command ./main.ps1).ScriptBlock.Ast.ParamBlock
if ($null -ne $block) {
  foreach ($one in $block.Parameters) {
    $name = $one.Name.VariablePath.UserPath
    if ($given.Contains($name)) { $taken[$name] = $given[$name] }
  }
}
Remove-Variable given, block
& ./main.ps1 @taken
if (-not $?) { exit $(if ($LASTEXITCODE) { $LASTEXITCODE } else { 1 }) }
exit 0
"""


class PowerShell:
    setting = "POWERSHELL_PATH"
    result_is_last_line = True

    def __init__(self, path: str | None) -> None:
        self._path = path

    @property
    def why_not(self) -> str:
        return "" if is_program(self._path) else f"no pwsh ({self.setting})"

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        path = program(self._path, "pwsh", self.setting)
        directory.write("main.ps1", task.code.encode())
        directory.write("args.ps1", literal(args).encode())
        directory.write("wrapper.ps1", WRAPPER.encode())
        options = ("-NoLogo", "-NoProfile", "-NonInteractive", "-File", "wrapper.ps1")
        return gated(directory, [path, *options])

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        return last_line_verdict(directory, exit_, most_bytes, "powershell run")


def literal(value: Any) -> str:
    """A JSON value as PowerShell writes it: its own reader would make dates of texts. Raises `JobFailed`."""
    match value:
        case None | bool():
            return {None: "$null", True: "$true", False: "$false"}[value]
        case int() | float():
            return _number(value)
        case str():
            return "'" + _QUOTES.sub(r"\1\1", value) + "'"
        case list():
            return f"@({_items(value)})"
    return "([ordered]@{" + "; ".join(f"{literal(key)} = {literal(one)}" for key, one in _pairs(value)) + "})"


def _number(value: float) -> str:
    if isinstance(value, float):
        return f"([double]{value!r})"
    return f"({value})" if -INT64 < value < INT64 else f"[bigint]::Parse('{value}')"


def _items(values: Sequence[Any]) -> str:
    """A comma in front keeps one list within another from being taken apart."""
    return f",{literal(values[0])}" if len(values) == 1 else ", ".join(literal(one) for one in values)


def _pairs(value: Mapping[str, Any]) -> Sequence[tuple[str, Any]]:
    if len({key.casefold() for key in value}) < len(value):
        raise JobFailed(
            "BadArguments",
            "powershell does not tell names apart that differ only in case; rename one of them",
        )
    return list(value.items())
