"""Tells agents that wait for a job that one may have come: one of each tag's line, who passes it on.

It knows too where none can be: a tag that was looked at in vain stays empty until news of it. So an idle
agent costs the store nothing, however often it asks.
"""

import asyncio
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import dropwhile


class Arrivals:
    """A thousand idle agents of a tag stand in its line, and one job wakes one of them."""

    def __init__(self) -> None:
        self._lines: dict[str, dict[asyncio.Event, None]] = {}  # by tag, first come first
        self._looks: set[_Look] = set()
        self.empty: set[str] = set()  # tags of which no job is ready

    def note(self, tags: Iterable[str] | None = None) -> None:
        """A job of these tags may be there; None: of any."""
        named = None if tags is None else set(tags)
        for look in self._looks:
            look.met_news = look.met_news or named is None or not named.isdisjoint(look.tags)
        if named is None:
            self.empty.clear()
        else:
            self.empty -= named
        for tag in self._lines if named is None else named:
            waiting = (event for event in self._lines.get(tag, ()) if not event.is_set())
            if (first := next(waiting, None)) is not None:
                first.set()

    def are_empty(self, tags: Iterable[str]) -> bool:
        return self.empty.issuperset(tags)

    @contextmanager
    def look(self, tags: Sequence[str]) -> "Iterator[_Look]":
        """While the block lasts the store is asked for a job of these tags; `found_none`: it has none.

        News that comes meanwhile may be of what the look came too early for, so it leaves nothing known.
        """
        look = _Look(tags)
        self._looks.add(look)
        try:
            yield look
        except BaseException:
            self.note(tags)  # what it had in hand looked taken to others
            raise
        finally:
            self._looks.remove(look)
        if look.found_none and not look.met_news:
            self.empty.update(tags)

    def pass_on(self, tags: Iterable[str], event: asyncio.Event) -> None:
        """Who waits with this event cannot take what is there: the next in each line is told."""
        for tag in tags:
            behind = dropwhile(lambda one: one is not event, self._lines.get(tag, ()))
            after = next((one for one in behind if one is not event and not one.is_set()), None)
            if after is not None:
                after.set()

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


class _Look:
    def __init__(self, tags: Sequence[str]) -> None:
        self.tags = tags
        self.met_news = False
        self.found_none = False
