"""What a script can see of how it was started: nothing that differs, but its command line."""

import json
import os
import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from agent.executor.account import Account
from agent.executor.limits import Limits
from agent.executor.process import Executor, Interpreters
from tests.support.until import until
from tests.unit.executing import COMMAND_LINE, Running, Site, entries, task

SURROUNDINGS = """
import gc, os, resource, signal, sys, threading
KINDS = [name for name in dir(resource) if name.startswith("RLIMIT_")]
def main():
    here = os.getcwd()
    module = sys.modules["__main__"]
    mask = os.umask(0)
    return {
        "environment": dict(os.environ),
        "directory": here,
        "path": sys.path,
        "arguments": sys.argv,
        "main": [module.__name__, module.__file__, module.__spec__.name, module.__package__],
        "umask": mask,
        "input": sys.stdin.read(),
        "descriptors": sorted(n for n in os.listdir("/proc/self/fd") if os.path.exists(f"/proc/self/fd/{n}")),
        "leads": os.getsid(0) == os.getpgid(0) == os.getpid(),
        "signals": [str(signal.getsignal(number)) for number in signal.valid_signals()],
        "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
        "limits": [resource.getrlimit(getattr(resource, kind)) for kind in KINDS],
        "user": [os.getuid(), os.getgid(), sorted(os.getgroups())],
        "text": [sys.stdout.encoding, sys.stdout.errors, sys.stdout.write_through, sys.stdin.encoding],
        "compiles": sys.dont_write_bytecode,
        "collects": gc.isenabled(),
        "threads": threading.active_count(),
        "flags": repr(sys.flags),
        "closed to the debugger": not os.access("/proc/self/mem", os.R_OK),
    }
"""


@pytest.fixture
def reachable() -> Iterator[Path]:
    """A folder that every account can pass through: those of pytest are closed."""
    with tempfile.TemporaryDirectory(prefix="account-") as name:
        Path(name).chmod(0o711)
        yield Path(name)


@pytest.fixture
async def warm(tmp_path: Path) -> AsyncIterator[Site]:
    site = Site(tmp_path / "work", Limits(processes=4000, file_mb=7), warm=True)
    await site.warmed_up()
    yield site
    site.executor.close()


async def test_its_surroundings(warm: Site) -> None:
    environment = {"WM_TOKEN": "t", "ODD": "\udcff=ä"}
    cold = Site(warm.work_dir, Limits(processes=4000, file_mb=7))
    ran = [await site.python(SURROUNDINGS, env=environment, path="f/a-b/c") for site in (cold, warm)]
    assert ran[0].document == ran[1].document
    assert ran[1].document["environment"]["ODD"] == "\udcff=ä".encode("utf-16", "surrogatepass").decode(
        "utf-16", "replace"
    )


async def test_how_it_fails(warm: Site) -> None:
    cold = Site(warm.work_dir)
    for code in ("def main(): return {}['a']", "import sys\ndef main(): sys.exit(3)", "def main(:"):
        one, other = await cold.python(code), await warm.python(code)
        assert (one.document, one.log, one.outcome.exit_code) == (
            other.document,
            other.log,
            other.outcome.exit_code,
        )
    killed = await warm.python("import os\ndef main(): os.kill(os.getpid(), 11)")
    assert killed.document["message"] == "process terminated by signal: SIGSEGV"


async def test_what_it_does_last(warm: Site, tmp_path: Path) -> None:
    code = f"""
import atexit, sys, threading, time
kept = open({str(tmp_path / "kept")!r}, "w")
class Last:
    def __del__(self): print("let go", len(sys.argv))
last = Last()
def late():
    time.sleep(0.1)
    print("thread")
def main():
    kept.write("whole")
    atexit.register(print, "at exit")
    threading.Thread(target=late).start()
"""
    ran = await warm.python(code)
    assert ran.log.split("\n")[:3] == ["thread", "at exit", "let go 1"]
    assert (tmp_path / "kept").read_text() == "whole"


async def test_chance_is_its_own(warm: Site) -> None:
    code = "import random, os\ndef main(): return [random.random(), os.urandom(4).hex()]"
    first, second = await warm.python(code), await warm.python(code)
    assert not set(first.document) & set(second.document)


async def test_a_folder_on_its_path_is_seen_and_what_only_a_start_can_give_is_given(
    warm: Site, tmp_path: Path
) -> None:
    (tmp_path / "bundle").mkdir()
    (tmp_path / "bundle" / "parcel.py").write_text("weight = 7")
    code = f"import parcel\n{COMMAND_LINE.replace('return ', 'return [parcel.weight] and ')}"
    ran = await warm.python(code, env={"PYTHONPATH": str(tmp_path / "bundle")})
    assert "zygote.py" in ran.document
    asks = await warm.python(
        "import sys\ndef main(): return hash('a') + sys.flags.hash_randomization", env={"PYTHONHASHSEED": "0"}
    )
    again = await warm.python("def main(): return hash('a')", env={"PYTHONHASHSEED": "0"})
    assert asks.document == again.document


async def test_processes_of_its_own_get_its_environment(warm: Site) -> None:
    code = """
import multiprocessing, os, subprocess
def double(number): return 2 * number
def main():
    with multiprocessing.get_context("fork").Pool(2) as pool:
        assert pool.map(double, [1, 2]) == [2, 4]
    return subprocess.run(["env"], capture_output=True, text=True, check=True).stdout
"""
    ran = await warm.python(code, env={"WM_WORKSPACE": "shop"})
    assert "WM_WORKSPACE=shop\n" in ran.document
    assert "//////" not in ran.document


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root to start processes of another user")
async def test_it_is_the_accounts(reachable: Path) -> None:
    python = shutil.which("python3", path="/usr/bin:/usr/local/bin:/bin")
    if python is None:
        pytest.skip("no python3 that every user may run")
    code = """
import os
def main():
    is_warm = "zygote.py" in open("/proc/self/cmdline").read()
    return [is_warm, os.getuid(), os.getgid(), os.getgroups(), os.umask(0), os.environ["HOME"] == os.getcwd()]
"""
    account = Account.named("nobody")
    executor = Executor(
        reachable, Limits(), Interpreters(None, python), account=account, umask=0o027, warm=True
    )

    async def ran() -> list[Any]:
        running = Running()
        found: list[Any] = json.loads(
            (await executor.run(task(code, "python3"), running.sink, running.stop)).result
        )
        return found

    async def is_warm() -> bool:
        return bool((await ran())[0])

    await until(is_warm)
    assert await ran() == [True, account.uid, account.gid, [], 0o027, True]
    assert entries(reachable) == []
    executor.close()
