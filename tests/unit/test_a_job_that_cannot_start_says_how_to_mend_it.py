from pathlib import Path

import pytest

from agent.executor.process import Interpreters
from tests.unit.executing import Ran, Site, entries, task


def refused(ran: Ran, name: str, *words: str) -> None:
    assert not ran.outcome.success
    assert ran.outcome.exit_code is None
    assert ran.document["name"] == name
    for word in words:
        assert word in ran.document["message"]
    assert ran.document["message"] in ran.log


@pytest.mark.parametrize("args", [b"", b"{", b"\xff\xfe", b"[1]", b"7", b'{"a": NaN}', b"[" * 100_000])
@pytest.mark.parametrize("language", ["bash", "python3"])
async def test_arguments_that_are_no_object(tmp_path: Path, language: str, args: bytes) -> None:
    refused(await Site(tmp_path).run(task("", language, args)), "BadArguments", "submit one JSON object")


async def test_an_unknown_language(tmp_path: Path) -> None:
    refused(await Site(tmp_path).run(task("", "cobol")), "UnknownLanguage", "'cobol'", "bash and python3")


@pytest.mark.parametrize(("language", "setting"), [("bash", "BASH_PATH"), ("python3", "PYTHON_PATH")])
@pytest.mark.parametrize("path", [None, "/no/such/program", "/etc/hostname"])
async def test_a_missing_interpreter(tmp_path: Path, language: str, setting: str, path: str | None) -> None:
    site = Site(tmp_path, interpreters=Interpreters(path, path))
    refused(await site.run(task("", language)), "InterpreterMissing", setting, path or language)


async def test_a_job_id_that_leads_out_of_the_folder(tmp_path: Path) -> None:
    for job_id in ("../other", "", ".", "a/b", "a\0b", "x" * 300):
        refused(await Site(tmp_path).run(task("echo", job_id=job_id)), "BadJobId")


async def test_an_environment_that_no_process_can_have(tmp_path: Path) -> None:
    refused(await Site(tmp_path).bash("echo", env={"WM_X": "a\0b"}), "BadEnvironment")


async def test_a_script_that_is_no_text(tmp_path: Path) -> None:
    refused(await Site(tmp_path).bash("echo \ud800"), "BadScript")
    refused(await Site(tmp_path).bash('x="$1"', b'{"x": "\\ud800"}'), "BadScript")


async def test_a_folder_that_cannot_be_made() -> None:
    refused(
        await Site(Path("/proc/version")).bash("echo"), "JobDirectoryFailed", "Not a directory", "writable"
    )


async def test_an_environment_larger_than_the_kernel_takes(tmp_path: Path) -> None:
    refused(await Site(tmp_path).bash("echo", env={"WM_X": "x" * 200_000}), "NotStarted", "too long")


async def test_a_refused_job_leaves_nothing_behind(tmp_path: Path) -> None:
    await Site(tmp_path, interpreters=Interpreters(None, None)).bash("echo")
    assert not entries(tmp_path)
