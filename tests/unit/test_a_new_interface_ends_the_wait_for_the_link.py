"""The moment a network interface comes up, the link is tried again; nothing else wakes it."""

import asyncio
import os
import shutil
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from tenacity import AsyncRetrying, RetryCallState

from agent.errors import LinkDown
from agent.link.interfaces import INTERFACE, MESSAGE, comes_up, until_interface_up
from agent.link.retry import reconnect
from dev_tools.places import ROOT
from dev_tools.processes import Running
from tests.support.until import until

UP: Final = 0x1 | 0x40 | 0x10000
DOWN: Final = 0x0
NEW, GONE = 16, 17


class SeenEnough(Exception):
    """The policy itself never ends."""


async def never_up(policy: AsyncRetrying) -> None:
    async for attempt in policy:
        with attempt:
            raise LinkDown("away")


def message(kind: int, index: int, flags: int) -> bytes:
    """As the kernel sends it, with attributes of an odd length after it."""
    body = INTERFACE.pack(0, 1, index, flags, 0) + b"attribute"
    framed = MESSAGE.pack(MESSAGE.size + len(body), kind, 0, 0, 0) + body
    return framed + b"\0" * (-len(framed) % 4)


def test_only_a_change_from_down_to_up_wakes() -> None:
    up = {1, 2}
    assert not comes_up(message(NEW, 2, UP), up)  # a radio that is up has scanned
    assert not comes_up(message(NEW, 2, DOWN), up)
    assert comes_up(message(NEW, 1, UP) + message(NEW, 2, UP), up)
    assert not comes_up(message(GONE, 2, UP), up)
    assert comes_up(message(NEW, 2, UP), up)
    assert not comes_up(struct.pack("=I", 0), up)


async def test_without_news_the_wait_lasts_as_long_as_it_should() -> None:
    began_s = time.monotonic()
    assert not await until_interface_up(0.3)
    assert time.monotonic() - began_s >= 0.3


async def test_after_a_wake_the_gaps_are_short_again() -> None:
    gaps: list[float] = []
    wakes = iter([False] * 12 + [True] + [False] * 3)

    async def sleep(seconds: float) -> bool:
        gaps.append(seconds)
        for woken in wakes:
            return woken
        raise SeenEnough

    def nothing(_state: RetryCallState) -> None:
        pass

    with pytest.raises(SeenEnough):
        await never_up(reconnect(sleep, nothing))
    assert max(gaps) <= 30
    assert all(gap <= most for gap, most in zip(gaps[13:], (0.5, 1.0, 2.0), strict=False))


@pytest.fixture
def waiting(tmp_path: Path) -> Iterator[Running]:
    """A process that waits, in a network namespace of its own."""
    missing = [tool for tool in ("unshare", "nsenter", "ip") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and a network namespace (missing: {missing or 'root'})")
    command = ["unshare", "--net", sys.executable, "-m", "tests.support.waits_for_interface", "60"]
    with Running(command, env=os.environ, log=tmp_path / "log", cwd=ROOT) as running:
        yield running


async def test_a_real_interface_that_comes_up_ends_the_wait(waiting: Running) -> None:
    await until(lambda: "waiting" in waiting.text())

    def ip(*words: str) -> None:
        subprocess.run(["nsenter", "--target", str(waiting.pid), "--net", "ip", *words], check=True)

    ip("link", "add", "cable0", "type", "veth", "peer", "name", "socket0")
    ip("link", "set", "socket0", "up")  # up, and no cable in it: not yet
    assert waiting.is_running()
    began_s = time.monotonic()
    ip("link", "set", "cable0", "up")
    await asyncio.to_thread(waiting.wait)
    assert waiting.text().splitlines()[-1] == "an interface came up"
    assert time.monotonic() - began_s < 10
