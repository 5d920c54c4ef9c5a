"""What happens to jobs, and who waits for it by a name."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from bridge.store.bulletin import Note


class Kind(StrEnum):
    """The kinds of notes that the jobs' room tells and hears."""

    PUSHED = "pushed"  # name: the tag of which there is a job that was not ready before, now or at its time
    READY = "ready"  # jobs of any tag may be there that nobody pushed now
    LATER = "later"  # some job may become ready sooner than was known
    OVER = "over"  # name: the job whose run is over: it has ended, or goes to another worker
    CANCELED = "canceled"  # name: the worker that has the job
    ALIVE = "alive"  # name: the job that was heard of, and the memory that it has used


READY = Note(Kind.READY)
LATER = Note(Kind.LATER)


class News:
    """Tells whoever waits for something, by its name, that it has happened."""

    def __init__(self) -> None:
        self._waited_for: dict[str, list[asyncio.Event]] = {}

    def note(self, name: str) -> None:
        for event in self._waited_for.get(name, ()):
            event.set()

    def note_all(self) -> None:
        for name in self._waited_for:
            self.note(name)

    @property
    def is_watched(self) -> bool:
        """Whether anybody waits for anything."""
        return bool(self._waited_for)

    @contextmanager
    def watched(self, name: str) -> Iterator[asyncio.Event]:
        """An event that is set once it happens while the block lasts."""
        event = asyncio.Event()
        self._waited_for.setdefault(name, []).append(event)
        try:
            yield event
        finally:
            self._waited_for[name].remove(event)
            if not self._waited_for[name]:
                del self._waited_for[name]
