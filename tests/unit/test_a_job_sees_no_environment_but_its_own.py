import os
from pathlib import Path

import pytest

from agent.executor.environment import site_environment
from tests.unit.executing import JOB, Site, entries

SHELL_S_OWN = {"PWD", "SHLVL", "_", "OLDPWD"}


async def test_the_agent_s_secrets_stay_with_the_agent(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AGENT_TOKEN", "s3cret")
    monkeypatch.setenv("TZ", "Europe/Berlin")
    ran = await Site(tmp_path).bash(
        "env -0 | tr '\\n\\0' ' \\n'", env={"WM_WORKSPACE": "shop", "WM_TOKEN": ""}
    )
    seen = dict(line.partition("=")[::2] for line in ran.log.splitlines())
    assert "AGENT_TOKEN" not in seen
    assert seen["WM_WORKSPACE"] == "shop"
    assert seen["WM_TOKEN"] == ""
    assert seen["WM_JOB_ID"] == JOB
    assert seen["ORVANTA_JOB_DIRECTORY"] == str(tmp_path / JOB)
    assert seen["TZ"] == "Europe/Berlin"
    assert set(seen) <= {
        "WM_WORKSPACE",
        "WM_TOKEN",
        "WM_JOB_ID",
        "ORVANTA_JOB_DIRECTORY",
        *site_environment(),
        *SHELL_S_OWN,
    }


async def test_a_site_can_say_itself_what_it_passes_on(tmp_path: Path) -> None:
    site = Site(tmp_path, environment={"PATH": os.defpath, "STORE": "7"})
    ran = await site.bash('echo "$STORE $HOME $PATH"', env={"STORE": "8"})
    assert ran.document == f"8 {tmp_path / JOB} {os.defpath}"


async def test_a_job_works_in_a_directory_of_its_own_that_is_gone_afterwards(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("touch shared/file && pwd")
    assert ran.document == str(tmp_path / JOB)
    assert not entries(tmp_path)


async def test_a_job_has_no_input_to_wait_for(tmp_path: Path) -> None:
    assert (await Site(tmp_path).bash("cat; echo end")).document == "end"
    assert (await Site(tmp_path).python("import sys\ndef main(): return sys.stdin.read()")).document == ""


async def test_a_job_inherits_no_open_files(tmp_path: Path) -> None:
    reading, writing = os.pipe()
    os.set_inheritable(writing, True)
    ran = await Site(tmp_path).bash(f'[ -e /proc/$$/fd/{writing} ] && echo "inherited" || echo "closed"')
    os.close(reading)
    os.close(writing)
    assert ran.document == "closed"
