"""A site that reaches its broker and bridge alone gets a job's packages by its own link, cut midway."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from dev_tools.brokers.broker import Broker
from tests.support.enclosed import Enclosed, require_namespaces
from tests.support.until import until
from tests.support.wheels import wheel
from tests.support.world import Agent, World, fresh_vhost

pytestmark = pytest.mark.broker

TAG = "shop"
LOCK = "# py: 3.11\nbig-numbers==1.0\nsmall-words==2.0"
CODE = """
import socket
import big_numbers, small_words

def main(of: str):
    try:
        socket.create_connection(("127.0.0.1", {port}), timeout=2).close()
        reached = "the outside"
    except OSError:
        reached = "nothing"
    return [big_numbers.twice(21), small_words.shout(of), reached]
"""
NOISE_BYTES = 400_000
SLOW_BYTES_PER_S = 25_000


@pytest.fixture
async def world(tmp_path: Path, broker: Broker) -> AsyncIterator[World]:
    """Its index is a folder, in which there are two packages."""
    require_namespaces()
    index = tmp_path / "index"
    noise = f"NOISE = '{os.urandom(NOISE_BYTES // 2).hex()}'\n"
    wheel(index, "big_numbers", "1.0", {"big_numbers/__init__.py": f"{noise}def twice(n): return n * 2\n"})
    wheel(index, "small_words", "2.0", {"small_words.py": "def shout(text): return text.upper()\n"})
    with fresh_vhost(broker) as amqp_url, World(tmp_path, amqp_url) as world:
        world.bridge.settings |= {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(index)}
        await world.open()
        yield world


def submit(world: World, code: str, **more: str) -> str:
    body = {"content": code, "language": "python3", "tag": TAG, "args": {"of": "hi"}, **more}
    return world.cluster.post("/api/w/main/jobs/run/preview", body)


def built(site: Agent) -> int:
    return len(site.events("bundle.built"))


async def test_it_fetches_what_a_job_imports_once_and_others_run_meanwhile(world: World) -> None:
    site = world.site(TAG, slots=1, ahead=5)
    outside = world.bridge.settings["BRIDGE_PORT"]
    with Enclosed(world.http_link.port, world.amqp_link.port) as enclosed:
        site.run_inside(*enclosed.words)
        await site.start()
        world.amqp_link.slow_down(bytes_per_s=SLOW_BYTES_PER_S)
        needy = submit(world, CODE.format(port=outside), lock=LOCK)
        await until(lambda: site.status().get("bundles", {}).get("have", 0) > 0, within_s=30)
        assert site.status()["bundles"]["jobs"] == 1
        await until(lambda: "waits for its dependencies: " in world.cluster.page(f"/run/{needy}"))
        other = submit(world, "def main(of: str): return of")
        assert (await world.cluster.done(other))["result"] == "hi"
        assert world.cluster.job(needy)["type"] == "QueuedJob"
        world.cut()
        await until(lambda: site.links("down"))
        world.restore()
        assert (await world.cluster.done(needy, within_s=60))["result"] == [42, "HI", "nothing"]
        assert built(site) == 1
        again = submit(world, CODE.format(port=outside), lock=LOCK)
        assert (await world.cluster.done(again))["result"] == [42, "HI", "nothing"]
        assert built(site) == 1
        missing = submit(world, CODE, lock="# py: 3.11\nnowhere==1.0")
        error = (await world.cluster.done(missing))["result"]["error"]
        assert error["name"] == "DependenciesMissing"
        assert "nowhere" in error["message"]
