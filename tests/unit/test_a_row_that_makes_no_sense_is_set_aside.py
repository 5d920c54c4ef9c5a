"""Damage in the spool's columns and indexes costs one job a second run, and no other anything."""

import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.database import Damaged
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.jobs.order import STALE_MAX, Order
from agent.spool.contents import Contents
from agent.spool.salvage import salvage
from agent.spool.sealing import Seal
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Result

SENSELESS = ["held_at = 'x'", "priority = 'x'", "interruptions = 'x'", "delivery = 'sometimes'"]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    book = Book(opened, SystemClock())
    for name in ("odd", "sound"):
        await book.hold(job(name), pack([job(name)]))
    yield opened
    await opened.close()


def job(name: str) -> Job:
    return Job(
        job_id=JobId(name), attempt=Attempt(1), workspace="w", tag=Tag("t"), language="bash", code="",
        args=b"{}",
    )  # fmt: skip


def key(name: str) -> tuple[JobId, Attempt]:
    return (JobId(name), Attempt(1))


def change(spool: Spool, columns: str) -> None:
    with closing(sqlite3.connect(spool.folder.database)) as database, database:
        database.execute(f"UPDATE held SET {columns} WHERE job_id = 'odd'")  # noqa: S608 a text of this test


async def set_aside(spool: Spool) -> list[str]:
    return [job_id for _, job_id, _, what in await spool.unreported() if "makes no sense" in what]


@pytest.mark.parametrize("columns", SENSELESS)
async def test_a_start_finds_it(spool: Spool, columns: str) -> None:
    change(spool, columns)
    book = Book(spool, SystemClock())
    await book.load()
    assert [held.key for held in book.unfinished.ready(9)] == [key("sound")]
    assert book.unaccepted(9) == [key("sound")]
    assert await set_aside(spool) == ["odd"]


@pytest.mark.parametrize("columns", SENSELESS)
async def test_it_is_found_when_its_job_is_to_run_again(spool: Spool, columns: str) -> None:
    book = Book(spool, SystemClock())
    await book.load()
    await book.apply(key("odd"), Event.STARTED)
    result = Result(job_id=JobId("odd"), attempt=Attempt(1), workspace="w", success=True, document=b"1")
    await book.finish(key("odd"), Event.EXITED, result)
    change(spool, columns)
    await book.redo(key("odd"))
    assert await set_aside(spool) == ["odd"]
    assert (book.held, book.backlog, book.orphans) == (1, 0, {})


async def test_a_row_that_no_index_led_to_is_told_to_the_bridge(spool: Spool) -> None:
    book = Book(spool, SystemClock())
    assert await book.missing([key("odd"), key("nowhere")]) == {key("odd"), key("nowhere")}
    assert [what for *_, what in await spool.unreported()] == ["the spool's indexes do not name this row"]


async def test_what_is_in_quarantine_already_stays_as_it_is(spool: Spool) -> None:
    assert await spool.quarantine(key("odd"), "odd") == "ready"
    assert await spool.quarantine(key("odd"), "odd") is None
    assert len(await spool.unreported()) == 1


def test_an_index_that_names_a_row_which_is_not_there_is_damage() -> None:
    with pytest.raises(Damaged, match="index names row 7"):
        Contents(Seal()).kept(7, None)


def test_a_row_that_fits_no_new_table_is_left_and_the_rest_is_carried_over(tmp_path: Path) -> None:
    """A damaged schema may call another column the table's number."""
    with closing(sqlite3.connect(tmp_path / "old.db")) as old, old:
        old.execute("CREATE TABLE log_chunk (id, job_id, attempt, start, text)")
        old.executemany("INSERT INTO log_chunk VALUES (?, 'j', 1, 0, 'text')", [("x",), (5,)])
    with closing(sqlite3.connect(":memory:")) as new:
        for script in MIGRATIONS:
            new.executescript(script)
        assert salvage(new, tmp_path / "old.db") == 1
        assert new.execute("SELECT id FROM log_chunk").fetchall() == [(5,)]


def test_an_order_forgets_what_left_it() -> None:
    """I6: thousands of jobs come and go while one waits at its head."""
    order = Order()
    order.put(key("first"), (0.0,))
    for number in range(3 * STALE_MAX):
        order.put(key(str(number)), (1.0 + number,))
        order.drop(key(str(number)))
    order.put(key("last"), (2.0,))
    assert order.first(9) == [key("first"), key("last")]
    assert len(order._heap) <= STALE_MAX + 10
