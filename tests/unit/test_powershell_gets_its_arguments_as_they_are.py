import shutil
from pathlib import Path
from typing import Any

import pytest

from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.powershell import PowerShell, literal
from agent.executor.languages.repertoire import repertoire_of
from tests.unit.executing import Site, task


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "$null"),
        (True, "$true"),
        (7, "(7)"),
        (-(2**63) + 1, "(-9223372036854775807)"),
        (2**64, "[bigint]::Parse('18446744073709551616')"),
        (1.5e300, "([double]1.5e+300)"),
        ("2026-01-01T00:00:00Z", "'2026-01-01T00:00:00Z'"),  # no date is made of it
        ("it's \u2018so\u2019 $(rm)\n`x", "'it''s \u2018\u2018so\u2019\u2019 $(rm)\n`x'"),
        ([], "@()"),
        ([[1]], "@(,@(,(1)))"),  # a list of one list stays one
        ([1, "b"], "@((1), 'b')"),
        ({"a": {"b": []}}, "([ordered]@{'a' = ([ordered]@{'b' = @()})})"),
    ],
)
def test_a_value_is_written_as_powershell_reads_it(value: Any, text: str) -> None:
    assert literal(value) == text


def test_names_that_powershell_takes_for_one_are_refused() -> None:
    with pytest.raises(JobFailed, match="only in case"):
        literal({"a": 1, "A": 2})


def test_the_script_is_called_and_not_changed(tmp_path: Path) -> None:
    directory = JobDirectory(tmp_path, "job")
    directory.make()
    wanted = task("param($name)\n$name", "powershell", {"name": "x"})
    command = PowerShell("/bin/true").prepare(wanted, {"name": "x"}, directory)
    assert command[2:] == ["/bin/true", "-NoLogo", "-NoProfile", "-NonInteractive", "-File", "wrapper.ps1"]
    assert (directory.path / "main.ps1").read_text() == wanted.code
    assert (directory.path / "args.ps1").read_text() == "([ordered]@{'name' = 'x'})"
    wrapper = (directory.path / "wrapper.ps1").read_text()
    assert wrapper.count("{") == wrapper.count("}")
    assert wrapper.count("(") == wrapper.count(")")


async def test_without_a_pwsh_a_job_says_how_to_mend_it(tmp_path: Path) -> None:
    site = Site(tmp_path, languages={"powershell": PowerShell(None)})
    job = await site.run(task("1", "powershell"))
    assert job.document["name"] == "InterpreterMissing"
    assert "POWERSHELL_PATH" in job.document["message"]


@pytest.mark.skipif(shutil.which("pwsh") is None, reason="pwsh is not on this machine")
async def test_a_real_pwsh_runs_it(tmp_path: Path) -> None:
    site = Site(tmp_path, languages=repertoire_of({}).known)
    code = """param([string]$day, $list, $object, $missing = 'none')
Write-Output "$day $($list.Count) $($object.a) $missing"
"""
    args = {"day": "2026-01-01T00:00:00Z", "list": [[1, 2]], "object": {"a": 1}}
    assert (await site.run(task(code, "powershell", args))).document == "2026-01-01T00:00:00Z 1 1 none"
    assert (await site.run(task("exit 3", "powershell"))).outcome.exit_code == 3
    failed = await site.run(task("\nthrow 'none left'", "powershell"))
    assert failed.outcome.exit_code == 1
    assert "none left" in failed.log
