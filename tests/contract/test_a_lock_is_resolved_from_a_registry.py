"""The resolvers themselves, at the registries that this machine is set up to use; and what they refuse."""

import json
import os
import re
import tarfile
from pathlib import Path

import pytest

from agent.clock import SystemClock
from bridge.dependencies.commands import run
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import NpmRequest, PythonRequest, Request
from bridge.dependencies.locks import npm_lock, python_lock
from bridge.dependencies.resolution import Resolution
from bridge.dependencies.resolving import REMEMBERED_S, Resolver
from bridge.dependencies.tools import environment_of
from tests.support.cluster import MovedClock
from tests.support.until import until
from tests.support.wheel_index import only_from, put_wheel

OFFLINE = re.compile(r"Failed to fetch|error sending request|ENOTFOUND|ECONN|EAI_AGAIN|ETIMEDOUT|dns error")
SAID: list[str] = []


async def say(text: str) -> None:
    SAID.append(text)


@pytest.fixture(autouse=True)
def nothing_said() -> None:
    SAID.clear()


async def resolved(request: Request) -> Resolution:
    try:
        return await Resolver(environment_of(os.environ), SystemClock()).resolve(request, say)
    except NotResolved as error:
        if OFFLINE.search(str(error)):
            pytest.skip(f"no registry is reached from here: {str(error)[:200]}")
        raise


async def test_two_packages_of_python() -> None:
    found = await resolved(PythonRequest("3.11", ("PyYAML>=6", "httpx<1")))
    lock = python_lock(found.lock, "")
    names = [one.name for one in lock.pins]
    assert (lock.version, {"pyyaml", "httpx", "httpcore", "anyio"} - set(names)) == ("3.11", set())
    assert names == sorted(names)
    assert "sys_platform" not in found.lock
    assert set(found.hashes) == {one.key for one in lock.pins}
    assert all(re.fullmatch("sha256:[0-9a-f]{64}", one) for ones in found.hashes.values() for one in ones)
    assert "Resolved" in "".join(SAID)


async def test_a_package_of_javascript() -> None:
    found = await resolved(NpmRequest((("is-odd", "latest"),)))
    lock = npm_lock(found.lock)
    assert lock is not None
    packages = lock.lock["packages"]
    assert packages["node_modules/is-number"]["integrity"].startswith("sha512-")
    exact = {"is-odd": packages["node_modules/is-odd"]["version"]}
    assert lock.package["dependencies"] == packages[""]["dependencies"] == exact
    assert "http" not in json.dumps(lock.lock)  # no registry's host: another site has another


async def test_what_has_no_wheel_is_not_built_here(tmp_path: Path) -> None:
    (tmp_path / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\n")
    (tmp_path / "PKG-INFO").write_text("Metadata-Version: 2.1\nName: srconly\nVersion: 1.0\n")
    with tarfile.open(tmp_path / "srconly-1.0.tar.gz", "w:gz") as sdist:
        for name in ("setup.py", "PKG-INFO"):
            sdist.add(tmp_path / name, f"srconly-1.0/{name}")
    resolver = Resolver(only_from(tmp_path, os.environ), SystemClock())
    with pytest.raises(NotResolved, match=r"srconly has no wheel .*`# pin: srconly==…`") as refused:
        await resolver.resolve(PythonRequest("3.11", ("srconly",)), say)
    assert "nothing is built from its source here" in str(refused.value)
    assert not (tmp_path / "ran").exists()


async def test_what_was_asked_a_moment_ago_is_not_asked_again(tmp_path: Path) -> None:
    clock, request = MovedClock(), PythonRequest("3.11", ("shoptool",))
    resolver = Resolver(only_from(tmp_path, os.environ), clock)
    put_wheel(tmp_path, "shoptool", "1.0")
    first = await resolver.resolve(request, say)
    put_wheel(tmp_path, "shoptool", "2.0")
    assert await resolver.resolve(request, say) == first
    assert SAID[-1] == "as resolved less than five minutes ago\n"
    clock.ahead_s = REMEMBERED_S
    assert (await resolver.resolve(request, say)).lock == "# py: 3.11\nshoptool==2.0"


def is_gone(folder: Path) -> bool:
    """Killed, though perhaps not reaped yet."""
    state = Path(f"/proc/{int((folder / 'child').read_text())}/stat")
    return not state.exists() or state.read_text().split()[2] == "Z"


async def test_a_resolver_that_takes_too_long_or_is_not_there_says_so(tmp_path: Path) -> None:
    environment = {"PATH": os.environ["PATH"]}
    slow = ["sh", "-c", "echo begun >&2; sleep 60 & echo $! >child; wait"]
    with pytest.raises(NotResolved, match=r"sh took longer than 1 s and was stopped"):
        await run(slow, tmp_path, environment, say, 1)
    assert SAID == ["begun\n"]
    await until(lambda: is_gone(tmp_path))
    with pytest.raises(NotResolved, match="none-such cannot be started on this worker"):
        await run(["none-such"], tmp_path, environment, say)
