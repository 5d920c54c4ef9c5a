"""What `--user` needs of a machine, and what a root agent believes of what its jobs leave behind."""

import json
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from agent.config import read
from agent.errors import ConfigError
from agent.executor.account import Account
from agent.executor.limits import MIB, Limits
from agent.executor.process import Executor, Interpreters
from agent.spool.folder import Folder
from tests.unit.executing import Running, entries, task

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start processes of another user")
NOBODY = pwd.getpwnam("nobody")
ENVIRONMENT = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://h"}


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every account can pass through: those of pytest are closed."""
    with tempfile.TemporaryDirectory(prefix="account-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.mark.parametrize(("name", "said"), [("no-such-user", "useradd"), ("root", "is root")])
@needs_root
def test_an_account_must_be_there_and_must_have_no_rights(tmp_path: Path, name: str, said: str) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        read(ENVIRONMENT, tmp_path, None, None, user=name)
    assert "--user" in str(refused.value)


@contextmanager
def without_rights() -> Iterator[None]:
    """As a process that is not root, or, as in a container, lacks its capabilities."""
    os.seteuid(NOBODY.pw_uid)
    try:
        yield
    finally:
        os.seteuid(0)


@needs_root
def test_only_root_can_start_processes_of_another(tmp_path: Path) -> None:
    with without_rights(), pytest.raises(ConfigError, match="needs an agent that is root"):
        read(ENVIRONMENT, tmp_path, None, None, user="nobody")


@needs_root
def test_the_folder_that_bars_the_way_is_named(tmp_path: Path, reachable: Path) -> None:
    account = Account.named("nobody")
    assert account.barrier(reachable) is None
    (reachable / "a" / "b").mkdir(parents=True)
    (reachable / "a").chmod(0o700)
    assert account.barrier(reachable / "a" / "b") == reachable / "a"
    for owner, group, mode in ((NOBODY.pw_uid, 0, 0o100), (0, NOBODY.pw_gid, 0o010)):
        os.chown(reachable / "a", owner, group)
        (reachable / "a").chmod(mode)
        assert account.barrier(reachable / "a" / "b") is None
        (reachable / "a").chmod(0o111 & ~mode)
        assert account.barrier(reachable / "a" / "b") == reachable / "a"


@needs_root
def test_a_spool_is_a_passage_to_the_jobs_directories_and_no_more(reachable: Path) -> None:
    folder = Folder(reachable / "spool")
    folder.database.touch(0o644)
    (folder.path / "link").symlink_to("/etc/passwd")
    folder.let_jobs_through()
    folder.release()
    modes = {
        path.name: path.stat().st_mode & 0o777 for path in folder.path.iterdir() if not path.is_symlink()
    }
    assert modes.pop("work") == folder.path.stat().st_mode & 0o777 == 0o711
    assert modes.pop("blobs") == 0o700
    assert set(modes.values()) == {0o600}


CODE = {
    "bash": "mkdir -p a/b; echo $(id -u) $(id -G) $(ulimit -c -d -n -f | awk '{print $NF}') $(umask) $HOME",
    "python3": """
import os, resource
KINDS = ("CORE", "DATA", "NOFILE", "FSIZE")
def main():
    os.makedirs("a/b")
    most = [resource.getrlimit(getattr(resource, f"RLIMIT_{kind}"))[1] for kind in KINDS]
    return [os.getuid(), os.getgid(), os.getgroups(), most, os.umask(0), os.environ["HOME"]]
""",
}


@needs_root
@pytest.mark.parametrize("language", ["bash", "python3"])
async def test_a_job_is_the_accounts_with_its_limits_and_leaves_nothing(
    reachable: Path, language: str
) -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    if python is None:
        pytest.skip("no python3 that every user may run")
    limits, account = Limits(memory_mb=300, open_files=64, file_mb=5), Account.named("nobody")
    interpreters = Interpreters("/bin/bash", python)
    executor = Executor(reachable, limits, interpreters, account=account, umask=0o027)
    running = Running()
    outcome = await executor.run(task(CODE[language], language), running.sink, running.stop)
    home = f"{reachable}/0190-job"
    wanted = {
        "bash": f"{account.uid} {account.gid} 0 {300 * 1024} 64 {5 * 1024} 0027 {home}",
        "python3": [account.uid, account.gid, [], [0, 300 * MIB, 64, 5 * MIB], 0o027, home],
    }
    assert json.loads(outcome.result) == wanted[language], running.log
    assert entries(reachable) == []


@needs_root
@pytest.mark.parametrize(
    "trick", ["ln -s {}/secret result.json", "ln {}/secret result.out", "mkfifo result.out"]
)
async def test_no_link_makes_the_agent_read_what_the_job_may_not(reachable: Path, trick: str) -> None:
    (reachable / "secret").write_text('"planted"')
    (reachable / "secret").chmod(
        0o604
    )  # where the kernel protects hard links it may only link what it can read
    executor = Executor(reachable, Limits(), account=Account.named("nobody"))
    running = Running()
    script = f"{trick.format(reachable)} || true; rmdir shared; ln -s {reachable} shared; echo mine"
    outcome = await executor.run(task(script), running.sink, running.stop)
    assert outcome.result == b'"mine"'
    assert entries(reachable) == ["secret"]


@needs_root
def test_limits_that_we_may_not_set_are_for_the_job_to_put_on_itself() -> None:
    limits = Limits(memory_mb=1, processes=7, open_files=9, file_mb=2)
    with subprocess.Popen(["sleep", "60"], user=NOBODY.pw_uid) as other:
        with without_rights():
            words = limits.apply(other.pid, others=70)
        other.kill()
    assert words == "-c=0 -d=1024 -f=2048 -n=9 -u=77"
