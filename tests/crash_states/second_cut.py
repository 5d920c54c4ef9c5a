"""A second power cut, in the middle of the start after the first: every state of it, opened and judged.

All first cuts times all second ones are too many, so the first are drawn by a seed. What a start has to do
most with is drawn as well: a database with a damaged page, and one of an older release.
"""

import asyncio
import multiprocessing
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any, Final

from agent.database import MARK
from agent.spool import recovery
from tests.crash_states.disk import Contents, Disk, Files
from tests.crash_states.enumeration import PROCESSES, SHOWN_MAX, Tally, moments, quieten
from tests.crash_states.judge import Claim, fast_folder, flaws_of, lay_out
from tests.crash_states.operations import Mark, Step
from tests.crash_states.recorded import OPENING
from tests.crash_states.recorder import record_recovery
from tests.crash_states.work import Work, expected
from tests.crash_states.works import WORKS

Kind = Callable[[Work[Any, Any], "Start", Random], "Start | None"]

SEED: Final = 4
PAGE: Final = 4096


@dataclass(frozen=True, slots=True)
class Start:
    """What a start finds."""

    how: str
    files: Files
    claim: Claim | None  # None: after the second cut there must be what a start without one makes of it
    is_damaged: bool = False


def starts(name: str, rounds: int, steps: Sequence[Step], most: int) -> Iterator[Start]:
    """Of each kind so many; of a damaged database fewer where its log still has the pages."""
    draw = Random(SEED)  # noqa: S311 the same ones in every run
    kinds = [_as_it_is, *([_damaged] if WORKS[name](rounds).mends_damage else []), _of_older_release]
    points: dict[int, Kind] = {}
    for kind in kinds:  # at first there is little to damage, or to bring to the newest schema
        first = 0 if kind is _as_it_is else len(steps) // 2
        points |= dict.fromkeys(draw.sample(range(first, len(steps)), most), kind)
    for point, start in _cut_off(name, rounds, steps, points, draw):
        if (found := points[point](WORKS[name](rounds), start, draw)) is not None:
            yield found


def _cut_off(
    name: str, rounds: int, steps: Sequence[Step], points: Collection[int], draw: Random
) -> Iterator[tuple[int, Start]]:
    work, disk = WORKS[name](rounds), Disk()
    for moment in moments(steps):
        for point in range(moment.first, moment.end):
            disk.take(point, steps[point])
            if point in points:
                state = draw.choice(list(disk.states()))
                claim = Claim(expected(work, moment.confirmed, moment.under_way), moment.note)
                yield point, Start(f"after step {point} ({state.how})", state.files, claim)


def _as_it_is(_work: Work[Any, Any], start: Start, _draw: Random) -> Start | None:
    return start


def _damaged(work: Work[Any, Any], start: Start, draw: Random) -> Start | None:
    """The first page of one table is noise, and a start meets it."""
    file = start.files.get(work.database)
    for page in draw.sample(roots := _roots(work, start.files), len(roots)):
        if file is not None and page * PAGE <= len(file.data):
            end = page * PAGE
            noise = file.data[: end - PAGE] + draw.randbytes(PAGE) + file.data[end:]
            files = {**start.files, work.database: Contents(noise, b"")}
            if not _looks_well(work, files):
                return Start(f"a damaged page, {start.how}", files, None, is_damaged=True)
    return None


def _of_older_release(work: Work[Any, Any], start: Start, draw: Random) -> Start | None:
    """The same rows in a database with an older schema."""
    version = draw.randrange(1, len(work.migrations))
    with _opened(work, start.files) as newest, tempfile.TemporaryDirectory(dir=fast_folder()) as made:
        old = Path(made, "old.db")
        _downgrade(newest, old, work.migrations[:version], version)
        beside = {
            path: file for path, file in start.files.items() if not path.startswith(f"{work.database}-")
        }
        files = {**beside, work.database: Contents(old.read_bytes(), b"")}
        return Start(f"an older release, {start.how}", files, None)


def _roots(work: Work[Any, Any], files: Files) -> list[int]:
    with _opened(work, files) as database:
        return [
            page for (page,) in database.execute("SELECT rootpage FROM sqlite_schema WHERE type = 'table'")
        ]


def _looks_well(work: Work[Any, Any], files: Files) -> bool:
    with _opened(work, files) as database:
        try:
            recovery._look(database)
        except sqlite3.DatabaseError:
            return False
        return True


@contextmanager
def _opened(work: Work[Any, Any], files: Files) -> Iterator[sqlite3.Connection]:
    with tempfile.TemporaryDirectory(dir=fast_folder()) as made:
        folder = Path(made, "disk")
        lay_out(files, folder)
        with closing(sqlite3.connect(folder / work.database)) as database:
            yield database


def _downgrade(newest: sqlite3.Connection, path: Path, migrations: Sequence[str], version: int) -> None:
    with closing(sqlite3.connect(path)) as old, old:
        for script in migrations:
            old.executescript(script)
        tables = [name for (name,) in old.execute("SELECT name FROM sqlite_schema WHERE type = 'table'")]
        for table in tables:
            known = [{row[1] for row in db.execute(f"PRAGMA table_info({table})")} for db in (old, newest)]
            names = ", ".join(sorted(known[0] & known[1]))
            for row in newest.execute(f"SELECT {names} FROM {table}"):  # noqa: S608 our own names
                marks = ", ".join("?" * len(row))
                old.execute(f"INSERT OR REPLACE INTO {table} ({names}) VALUES ({marks})", row)  # noqa: S608 our own names
        old.execute(f"PRAGMA user_version = {version}")
        old.execute(f"PRAGMA application_id = {MARK + version}")


def enumerate_second_cuts(
    name: str, rounds: int, steps: Sequence[Step], most: int, *, every: int = 1, sabotage: str = ""
) -> list[Tally]:
    """A tally of each start that was cut off, of which one state in `every` is judged.

    `most`: starts of each kind. `sabotage`: of the start that is cut off.
    """
    spawn = multiprocessing.get_context("spawn")  # as for the first cuts
    with ProcessPoolExecutor(PROCESSES, spawn, quieten) as pool:
        found = starts(name, rounds, steps, most)
        futures = [pool.submit(_judge, name, rounds, start, every, sabotage) for start in found]
        return [future.result() for future in futures]


def _judge(name: str, rounds: int, start: Start, every: int, sabotage: str) -> Tally:
    with tempfile.TemporaryDirectory(prefix="orvanta-second-", dir=fast_folder()) as place:
        return asyncio.run(_judge_start(name, rounds, start, every, sabotage, Path(place, "disk")))


async def _judge_start(
    name: str, rounds: int, start: Start, every: int, sabotage: str, folder: Path
) -> Tally:
    work = WORKS[name](rounds)
    claim = start.claim or await _undisturbed(work, start, folder)
    steps, begins = record_recovery(name, rounds, start.files, sabotage)
    disk, found, judged, flaws = Disk(), set[tuple[Any, ...]](), 0, list[str]()
    for number, step in enumerate(steps):
        disk.take(number, step)
        if isinstance(step, Mark) and step.call == OPENING:
            claim = replace(claim, note=step.note)
        for state in disk.states() if number >= begins else ():
            if (state.fingerprint, claim.note) in found:
                continue
            found.add((state.fingerprint, claim.note))
            if len(found) % every:
                continue
            judged += 1
            how = f"{start.how}; then cut at {number - begins} ({state.how})"
            flaws += [f"{how}: {flaw}" for flaw in await flaws_of(work, state, claim, folder)]
    return Tally(len(steps) - begins, judged, flaws[:SHOWN_MAX])


async def _undisturbed(work: Work[Any, Any], start: Start, folder: Path) -> Claim:
    """What one whole start makes of it."""
    lay_out(start.files, folder)
    try:
        async with work.opened(folder) as store:
            return Claim([await work.kept(store)], "", is_damaged=start.is_damaged)
    finally:
        shutil.rmtree(folder)
