"""`Type=notify` with a watchdog, on a real socket and a real spool."""

import asyncio
import os
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from agent.clock import SystemClock
from agent.database import WriteFailed
from agent.spool.spool import Spool
from agent.systemd import Systemd, loop_turns, told_by
from tests.support.notified import Notified
from tests.support.until import until

WATCHDOG_S = 0.15


@asynccontextmanager
async def watched_spool(folder: Path, heard: Notified) -> AsyncIterator[Spool]:
    spool = await Spool.open(folder / "spool", SystemClock())
    systemd = Systemd(heard.address, WATCHDOG_S)
    task = asyncio.create_task(systemd.watched(spool.answers, lambda: "link up"))
    try:
        await until(lambda: heard.pings > 2)
        yield spool
    finally:
        task.cancel()
        await spool.close()


async def test_a_writer_that_hangs_is_not_alive(tmp_path: Path) -> None:
    with Notified.in_folder(tmp_path) as heard:
        async with watched_spool(tmp_path, heard) as spool:
            hangs, goes_on = threading.Event(), threading.Event()

            def hang(_connection: object) -> None:
                hangs.set()
                goes_on.wait(10)

            writing = asyncio.create_task(spool._database.write(hang))
            await asyncio.to_thread(hangs.wait, 10)
            await asyncio.wait((writing,), timeout=WATCHDOG_S)  # a ping that was on its way arrives
            before = heard.pings
            await asyncio.wait((writing,), timeout=3 * WATCHDOG_S)
            assert heard.pings == before
            goes_on.set()
            await writing
            await until(lambda: heard.pings > before)


async def test_a_disk_that_refuses_is_alive(tmp_path: Path) -> None:
    with Notified.in_folder(tmp_path) as heard:
        async with watched_spool(tmp_path, heard) as spool:
            spool._database.may_use = lambda: False
            with pytest.raises(WriteFailed):
                await spool.set_meta("link", "up")
            before = heard.pings
            await until(lambda: heard.pings > before + 2)


async def test_the_status_is_told_when_it_changes(tmp_path: Path) -> None:
    said = "link up"
    with Notified.in_folder(tmp_path) as heard:
        task = asyncio.create_task(Systemd(heard.address, WATCHDOG_S).watched(loop_turns, lambda: said))
        await until(lambda: heard.pings > 2)
        said = "link down"
        await until(lambda: "STATUS=link down" in heard.lines)
        task.cancel()
        assert [line for line in heard.lines if line != "WATCHDOG=1"] == [
            "STATUS=link up",
            "STATUS=link down",
        ]


async def test_the_address_may_be_an_abstract_one() -> None:
    with Notified(f"@orvanta-{uuid4().hex}") as heard:
        Systemd(heard.address).ready("listens")
        assert heard.lines == ["READY=1", "STATUS=listens"]


async def test_who_is_not_supervised_says_nothing_and_nobody_who_hears_is_no_trouble(tmp_path: Path) -> None:
    await told_by({}).watched(loop_turns, lambda: "")  # returns at once
    told_by({"NOTIFY_SOCKET": str(tmp_path / "gone")}).stopping("ends")


@pytest.mark.parametrize(
    ("env", "watchdog_s"),
    [
        ({"WATCHDOG_USEC": "3000000"}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": str(os.getpid())}, 3.0),
        ({"WATCHDOG_USEC": "3000000", "WATCHDOG_PID": "1"}, None),  # meant for another process
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
        ({}, None),
    ],
)
def test_what_systemd_sets_is_read(env: dict[str, str], watchdog_s: float | None) -> None:
    assert told_by({"NOTIFY_SOCKET": "/run/notify", **env}) == Systemd("/run/notify", watchdog_s)


def test_an_address_of_another_kind_is_none() -> None:
    assert told_by({"NOTIFY_SOCKET": "vsock:2:1234"}) == Systemd()
