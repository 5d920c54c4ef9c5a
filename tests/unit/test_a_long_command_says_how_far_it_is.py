"""On a terminal with an estimate, by rich or without it; elsewhere, and afterwards, there is nothing."""

import asyncio
import io
import sys
import threading
from contextlib import redirect_stderr
from pathlib import Path

import pytest

from agent import draining
from agent.database import open_alone
from agent.progress import CLEAR, Line, progress, span, tracked
from dev_tools.expected import expected
from tests.support.until import until


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_it_is_quiet_where_there_is_no_terminal() -> None:
    stream = io.StringIO()
    with progress("work", 10, stream) as advance:
        advance(5)
    assert list(tracked("work", [1, 2], stream)) == [1, 2]
    assert stream.getvalue() == ""


def test_it_is_quiet_where_there_is_nothing_to_do() -> None:
    stream = Terminal()
    with progress("work", 0, stream) as advance:
        advance(5)
    assert stream.getvalue() == ""


def test_a_bar_by_rich() -> None:
    stream = Terminal()
    with progress("reading rows", 4, stream) as advance:
        advance(3)
    assert "reading rows" in stream.getvalue()
    assert "75%" in stream.getvalue()


def test_a_line_without_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    stream = Terminal()
    with progress("reading rows", 4, stream):
        assert stream.getvalue() == f"{CLEAR}reading rows: 0 %\r"
    assert stream.getvalue().endswith(CLEAR)


def test_the_estimate_is_by_what_is_done() -> None:
    stream, now_s = Terminal(), [0.0]
    line = Line("work", 100, stream, lambda: now_s[0])
    for at_s, steps, said in (
        (0.1, 1, "0 %"),
        (10.0, 9, "10 %, about 2 min left"),
        (40.0, 99, "100 %, about 0 s left"),
    ):
        now_s[0] = at_s
        line.advance(steps)
        assert stream.getvalue().endswith(f"{CLEAR}work: {said}\r")


@pytest.mark.parametrize(
    ("seconds", "said"), [(3.4, "3 s"), (90, "2 min"), (5400, "1.5 h"), (216_000, "2.5 days")]
)
def test_a_span_is_told_in_the_unit_that_people_use(seconds: float, said: str) -> None:
    assert span(seconds) == said


def test_what_tells_nothing_of_itself_is_told_by_the_time_it_takes() -> None:
    with redirect_stderr(Terminal()) as stream, expected("starting", 100) as over:
        assert "starting" in stream.getvalue()
        over()
        length = len(stream.getvalue())
    assert len(stream.getvalue()) == length  # nothing is drawn once it is over
    assert "progress" not in [thread.name for thread in threading.enumerate()]


async def test_a_drain_says_what_is_left() -> None:
    await draining.shown(lambda: 1)  # no terminal: it is over at once
    left = [4]
    with redirect_stderr(Terminal()) as stream:
        showing = asyncio.create_task(draining.shown(lambda: left[0]), name="drain")
        await until(lambda: "draining: 0 %" in stream.getvalue())
        left[0] = 1
        await until(lambda: "draining: 75 %, about" in stream.getvalue())
        showing.cancel()
        await asyncio.wait([showing])
    assert stream.getvalue().endswith(CLEAR)


def test_a_migration_says_so_where_there_is_something_to_migrate(tmp_path: Path) -> None:
    store = tmp_path / "store.db"
    steps = [f"CREATE TABLE t{number} (a);" for number in range(3)]
    with redirect_stderr(Terminal()) as stream:
        open_alone(store, steps[:1]).close()
        assert stream.getvalue() == ""  # a new one
        open_alone(store, steps).close()
        assert "migrating store.db" in stream.getvalue()
        length = len(stream.getvalue())
        open_alone(store, steps).close()
    assert len(stream.getvalue()) == length
