"""`python -m agent doctor` on the disk, the account, the programs and the spool: without any network."""

import json
import os
import pwd
import sys
from dataclasses import fields
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from agent.clock import SystemClock
from agent.config import seal
from agent.executor.process import Interpreters
from agent.jobs.book import Book
from agent.policy import Policy
from agent.site.checks import Verdict
from agent.site.programs import SETTINGS, program_checks
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job
from agent.wire.tokens import token_id
from tests.unit.examined import NO_CLAIMS, allow, files, is_failed, settings, told

NOBODY = pwd.getpwnam("nobody")


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    folder = tmp_path / "spool"
    folder.mkdir(mode=0o700)
    return folder


async def test_the_disk(spool: Path) -> None:
    here = settings("http://127.0.0.1:1")
    is_failed((await told(spool, here | {"SPOOL_FLOOR_MB": "999999999"}))["disk space"], "below", "free some")
    found = await told(spool, here | {"SPOOL_QUOTA_MB": "999999999"})
    assert (found["disk space"].verdict, "lower" in found["disk space"].mend) == (Verdict.WARN, True)
    assert (await told(spool, here | {"SPOOL_QUOTA_MB": "1"}))["disk space"].verdict is Verdict.OK
    assert "durable writes a second" in found["disk speed"].said
    opened = await Spool.open(spool, SystemClock())
    (spool / "blobs" / "large").write_bytes(bytes(2**20))
    is_failed(
        (await told(spool, here | {"SPOOL_QUOTA_MB": "1"}))["disk space"], "nothing new is taken", "raise"
    )
    await opened.close()


async def test_the_folder_of_the_spool(spool: Path, tmp_path: Path) -> None:
    here = settings("http://127.0.0.1:1")
    assert (await told(spool, here))["spool"].verdict is Verdict.OK
    allow(spool, 0o711)  # as `--user` leaves it
    assert (await told(spool, here))["spool"].verdict is Verdict.OK
    allow(spool, 0o755)
    assert "chmod 700" in (await told(spool, here))["spool"].mend
    assert "can be made" in (await told(tmp_path / "a" / "b", here))["spool"].said
    file = tmp_path / "file"
    file.touch()
    found = await told(file, here)
    is_failed(found["spool"], "is no folder", "--spool")
    is_failed(found["disk speed"], "cannot be used")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to be somebody else")
async def test_whose_the_folder_is(spool: Path) -> None:
    here = settings("http://127.0.0.1:1")
    os.chown(spool, NOBODY.pw_uid, NOBODY.pw_gid)
    assert "belongs to nobody, and this is root" in (await told(spool, here))["spool"].said
    os.seteuid(NOBODY.pw_uid)
    try:
        found = await told(Path("/root/spool"), here)
    finally:
        os.seteuid(0)
    is_failed(found["spool"], "/root belongs to root and is not writable for nobody", "chown nobody")
    is_failed(found["agent"], "Permission denied")
    is_failed(found["disk speed"], "/root is not writable")


@pytest.mark.skipif(os.geteuid() != 0, reason="--user is for root")
async def test_the_account_of_the_jobs(tmp_path: Path) -> None:
    here = settings("http://127.0.0.1:1")
    with TemporaryDirectory(prefix="account-") as name:
        above = Path(name)
        allow(above, 0o711)
        found = await told(above / "spool", here, user="nobody")
        assert "jobs run as nobody" in found["user"].said
        allow(above, 0o700)
        is_failed((await told(above / "spool", here, user="nobody"))["user"], f"through {above}", "chmod o+x")
        hidden = above / "python"
        hidden.symlink_to(sys.executable)
        found = await told(above, here | {"PYTHON_PATH": str(hidden)}, user="nobody")
        is_failed(found["python3"], f"nobody cannot pass through {above}", "PYTHON_PATH")
    is_failed((await told(tmp_path, here, user="no-such-user"))["user"], "no account", "useradd")


async def test_the_programs_of_the_languages_that_the_site_runs(spool: Path, tmp_path: Path) -> None:
    here = settings("http://127.0.0.1:1")
    broken = tmp_path / "broken"
    broken.write_text("#!/bin/sh\nexit 3\n")
    allow(broken, 0o755)
    found = await told(spool, here | {"BASH_PATH": "/nowhere/bash", "PYTHON_PATH": str(broken)})
    is_failed(found["bash"], "/nowhere/bash does not run: No such file", "BASH_PATH")
    is_failed(found["python3"], "exit code 3", "PYTHON_PATH")
    assert "3." in (await told(spool, here))["python3"].said
    is_failed(program_checks(Interpreters(None, None), Policy(), None)[0], "bash is not on this machine")
    policy = tmp_path / "policy.toml"
    policy.write_text('languages = ["bash"]')
    allow(policy, 0o644)
    found = await told(spool, here, policy=policy)
    assert "python3" not in found
    assert found["policy"].said.endswith("allows bash")
    policy.write_text("languages = 1")
    is_failed((await told(spool, here, policy=policy))["policy"], "must be a list of texts")


async def test_the_languages_beside_those_that_can_be_run_here(spool: Path, tmp_path: Path) -> None:
    here = settings("http://127.0.0.1:1") | {"DENO_PATH": "/no/such/deno"}
    declared = tmp_path / "languages.toml"
    declared.write_text('perl = { command = ["perl", "{file}"], file = "main.pl" }')
    allow(declared, 0o644)
    found = (await told(spool, here | {"LANGUAGES_FILE": str(declared)}))["languages"]
    assert "perl" in found.said
    assert "sqlite" in found.said
    assert "deno: no deno (DENO_PATH)" in found.said
    declared.write_text("perl = 1")
    is_failed(
        (await told(spool, here | {"LANGUAGES_FILE": str(declared)}))["settings"], "LANGUAGES_FILE", "perl"
    )


def test_each_language_has_its_setting() -> None:
    assert SETTINGS.keys() == {field.name for field in fields(Interpreters)}


async def test_what_the_agent_last_said(spool: Path) -> None:
    here = settings("http://127.0.0.1:1")
    opened = await Spool.open(spool, SystemClock())
    await opened.set_meta("link", "down\n1.0\nbroker unreachable")
    job = Job(
        job_id=JobId("a"), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash", code="",
        args=b"{}",
    )  # fmt: skip
    await Book(opened, SystemClock()).hold(job, pack([job]))
    await opened.quarantine((job.job_id, job.attempt), "it is odd")
    opened.folder.note_room(json.dumps({"fault": "No space left on device"}))
    found = await told(spool, here)
    assert found["agent"].verdict is Verdict.OK
    assert "broker unreachable" in found["link"].said
    assert "spool ls" in found["quarantine"].mend
    assert "No space left" in found["disk"].said
    assert "has not enrolled yet" in found["broker"].said
    await opened.close()
    found = await told(spool, here)
    assert (found["agent"].said.startswith("not running"), "link" in found) == (True, False)
    (spool / "spool.db").write_bytes(b"no database" * 1000)
    found = await told(spool, here)
    is_failed(found["agent"], "cannot be read", "starting the agent mends it")
    assert "cannot be read" in found["broker"].said


async def test_the_key_of_the_spool_and_a_token_that_was_taken_away(spool: Path, tmp_path: Path) -> None:
    here, key = settings("http://127.0.0.1:1"), tmp_path / "key"
    key.write_text("ab" * 32)
    allow(key, 0o600)
    assert (await told(spool, here))["spool key"].said == "none: nothing is sealed"
    sealed = here | {"SPOOL_KEY_FILE": str(key)}
    opened = await Spool.open(spool, SystemClock(), seal=seal(sealed, spool))
    await opened.close()
    assert (await told(spool, sealed))["spool key"].said.startswith("seals with ")
    found = await told(spool, here)
    is_failed(found["spool key"], "no key was given", "set SPOOL_KEY_FILE")
    assert "no key was given" in found["broker"].said
    assert "revoked" not in found
    before = files(spool)
    (spool / "revoked").write_text(f"{token_id(NO_CLAIMS)}\n")
    is_failed((await told(spool, sealed))["revoked"], "taken away", "mint a new one")
    (spool / "revoked").unlink()
    assert files(spool) == before  # it only says so: to wipe is the agent's
