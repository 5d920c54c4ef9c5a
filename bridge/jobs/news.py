"""Tells whoever waits for something, by its name, that it has happened."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class News:
    def __init__(self) -> None:
        self._waited_for: dict[str, list[asyncio.Event]] = {}

    def note(self, name: str) -> None:
        for event in self._waited_for.get(name, ()):
            event.set()

    def note_all(self) -> None:
        for name in self._waited_for:
            self.note(name)

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
