"""`python -m agent status`: plain text, colours where rich is, live with `--watch`, and JSON for machines."""

import io
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stdout
from pathlib import Path

import pytest

from agent import status
from agent.__main__ import main
from agent.clock import SystemClock
from agent.site.look import HOME, watch
from agent.spool.spool import Spool

CODES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    await opened.set_meta("link", "down\n0\nno way to the [bridge]")
    yield opened
    await opened.close()


def shown(stream: io.StringIO, spool: Path, *words: str) -> str:
    with redirect_stdout(stream):
        assert main(["status", "--spool", str(spool), *words]) == 0
    return stream.getvalue()


def enough(seen: int) -> object:
    """A pause that is broken off at the end of this many looks."""
    left = iter(range(seen - 1))

    def pause(_seconds: float) -> None:
        if next(left, None) is None:
            raise KeyboardInterrupt

    return pause


async def test_plain_where_it_is_no_terminal(spool: Spool) -> None:
    path = spool.folder.path
    text = shown(io.StringIO(), path)
    assert text.splitlines()[:2] == [
        "agent    running (not enrolled yet)", "link     down: no way to the [bridge]",
    ]  # fmt: skip
    told, read = json.loads(shown(io.StringIO(), path, "--json")), status.read(path)
    assert told.pop("spool").keys() == read.pop("spool").keys()  # the disk is others' too, so not its figures
    assert told == read


async def test_the_same_words_in_colours(spool: Spool) -> None:
    coloured = shown(Terminal(), spool.folder.path)
    assert "\x1b[" in coloured
    for line in status.lines(status.read(spool.folder.path)):
        assert line.said[:20] in CODES.sub("", coloured)


async def test_plain_on_a_terminal_without_rich(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    path = spool.folder.path
    assert "\x1b" not in shown(Terminal(), path)
    with redirect_stdout(Terminal()) as screen, pytest.raises(KeyboardInterrupt):
        watch(path, as_json=False, pause=enough(2))
    assert screen.getvalue().count(HOME) == 2


async def test_live(spool: Spool, tmp_path: Path) -> None:
    path = spool.folder.path
    for stream, as_json, wanted in (
        (Terminal(), False, "not enrolled yet"),
        (io.StringIO(), False, "not enrolled yet"),
        (io.StringIO(), True, '"worker": null'),
    ):
        with redirect_stdout(stream), pytest.raises(KeyboardInterrupt):
            watch(path, as_json=as_json, pause=enough(3))
        assert stream.getvalue().count(wanted) >= 3
    for stream in (Terminal(), io.StringIO()):  # no spool yet: it is looked for again
        with redirect_stdout(stream), pytest.raises(KeyboardInterrupt):
            watch(tmp_path / "none", as_json=False, pause=enough(2))
        assert stream.getvalue().count("there is no spool") >= 2


async def test_it_is_live_until_it_is_interrupted(spool: Spool) -> None:
    before = signal.signal(signal.SIGALRM, signal.default_int_handler)
    signal.setitimer(signal.ITIMER_REAL, 0.3)
    try:
        text = shown(io.StringIO(), spool.folder.path, "--watch")
    finally:
        signal.signal(signal.SIGALRM, before)
    assert text.count("not enrolled yet") == 1


async def test_what_is_wrong_has_its_words(spool: Spool) -> None:
    spool.folder.note_room(json.dumps({"fault": "I/O error", "waiting_for_room": 2, "takes_jobs": False}))
    seen = status.read(spool.folder.path) | {"quarantined": 3}
    tones = {line.name: line.tone for line in status.lines(seen)}
    assert tones == {
        "agent": "good", "link": "warn", "custody": "plain", "backlog": "plain", "spool": "warn",
        "disk": "bad", "waiting": "warn", "damaged": "bad",
    }  # fmt: skip
    for words in ("takes nothing new", "I/O error", "2 jobs wait for room", "3 rows in quarantine"):
        assert words in status.render(seen)
