"""The program that is recorded: one life of a store. It says before and after each call what it does.

python -m tests.crash_states.recorded WORK ROUNDS LIFE FOLDER MARKS [SABOTAGE]

LIFE is the number of a life of the work, or `recovery`: what each start does, and no more.
"""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from tests.crash_states.sabotage import CHECKPOINT_PAGES, SABOTAGES, open_connections_with
from tests.crash_states.work import Call, Life, Work
from tests.crash_states.works import WORKS

OPENING = -1  # the number of no call
RECOVERY = "recovery"
RECOVERY_CALLS = 1_000_000  # their numbers begin here: they are none of the work's


class Marks:
    """Lines in a file of their own: strace sees them between the store's own writes."""

    def __init__(self, path: Path) -> None:
        self._descriptor = os.open(path, os.O_WRONLY | os.O_CREAT)

    def say(self, word: str, number: int, note: str = "") -> None:
        os.write(self._descriptor, f"{word} {number} {note}\n".encode())


async def live(work: Work[Any, Any], number: int, folder: Path, marks: Marks) -> None:
    """Opens the store, makes this life's calls, and closes it or dies."""
    life = work.lives[number]
    first = sum(len(earlier.calls) for earlier in work.lives[:number])
    await _live(work, life, first, folder, marks)


async def recover(work: Work[Any, Any], folder: Path, marks: Marks) -> None:
    await _live(work, work.recovery, RECOVERY_CALLS, folder, marks)


async def _live(work: Work[Any, Any], life: Life[Any, Any], first: int, folder: Path, marks: Marks) -> None:
    async with work.opened(folder) as store:
        marks.say("done", OPENING, work.note(store))
        for group in life.groups:
            async with asyncio.TaskGroup() as together:
                for call in group:
                    together.create_task(_make(call, first, store, marks))
                    first += 1
        if life.is_killed:
            os.kill(os.getpid(), signal.SIGKILL)


async def _make(call: Call[Any, Any], number: int, store: object, marks: Marks) -> None:
    marks.say("begin", number, call.text)
    await call.make(store)
    marks.say("done", number, call.text)


if __name__ == "__main__":
    name, rounds, life, folder, marks, *sabotages = sys.argv[1:]
    open_connections_with(f"wal_autocheckpoint = {CHECKPOINT_PAGES}")
    for sabotage in sabotages:
        SABOTAGES[sabotage]()
    work, said = WORKS[name](int(rounds)), Marks(Path(marks))
    asyncio.run(
        recover(work, Path(folder), said) if life == RECOVERY else live(work, int(life), Path(folder), said)
    )
