"""Tells whoever waits for a job that it has ended."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Endings:
    def __init__(self) -> None:
        self._waited_for: dict[str, list[asyncio.Event]] = {}

    def note(self, job_id: str) -> None:
        for event in self._waited_for.get(job_id, ()):
            event.set()

    @contextmanager
    def watched(self, job_id: str) -> Iterator[asyncio.Event]:
        """An event that is set once the job ends while the block lasts."""
        event = asyncio.Event()
        self._waited_for.setdefault(job_id, []).append(event)
        try:
            yield event
        finally:
            self._waited_for[job_id].remove(event)
            if not self._waited_for[job_id]:
                del self._waited_for[job_id]
