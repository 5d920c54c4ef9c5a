"""Tells agents that wait for a job that one may have come: one of each tag's line, who passes it on."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class Arrivals:
    """A thousand idle agents of a tag stand in its line, and one job wakes one of them."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[asyncio.Event, None]] = {}  # by tag, first come first

    def note(self, tags: Sequence[str] | None = None) -> None:
        """A job of these tags may be there; None: of any."""
        for tag in self._lines if tags is None else tags:
            waiting = (event for event in self._lines.get(tag, ()) if not event.is_set())
            if (first := next(waiting, None)) is not None:
                first.set()

    def note_to_all(self) -> None:
        for line in self._lines.values():
            for event in line:
                event.set()

    @contextmanager
    def awaited(self, tags: Sequence[str]) -> Iterator[asyncio.Event]:
        """A place in the lines of these tags for as long as the block lasts: an event that is set by news.

        Who leaves with the event set passes the news on: it took one job and there may be more, or it left
        in the moment that it was told.
        """
        event = asyncio.Event()
        for tag in tags:
            self._lines.setdefault(tag, {})[event] = None
        try:
            yield event
        finally:
            for tag in tags:
                del self._lines[tag][event]
                if not self._lines[tag]:
                    del self._lines[tag]
            if event.is_set():
                self.note(tags)
