"""What a change tells others: in this process once it is kept, in other bridges through the store."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

from bridge.store.store import Connection, Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Note:
    """That something of this kind has happened to what bears this name."""

    kind: str
    name: str = ""


Tell = Callable[[Note], None]
Send = Callable[[Connection, Sequence[Note]], None]


@dataclass(frozen=True, slots=True)
class _Hearer:
    hear: Callable[[str], None]
    missed: Callable[[], None]


class Bulletin:
    """The rooms write through it what others wait for. In one process it is a matter of memory alone."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._hearers: dict[str, _Hearer] = {}
        self._send: Send = _to_nobody

    def reach_others(self, send: Send) -> None:
        """From now on `send` tells other bridges, in the transaction of the change itself.

        So what is told has happened, and a bridge that dies has told what it did.
        """
        self._send = send

    def on(self, kind: str, hear: Callable[[str], None], missed: Callable[[], None]) -> None:
        """`hear` is called with the name; `missed` when others may have told what did not reach us."""
        self._hearers[kind] = _Hearer(hear, missed)

    async def write(self, work: Callable[[Connection, Tell], T]) -> T:
        """As `Store.write`; what `work` tells is heard once it is kept."""
        told: list[Note] = []
        result = await self._store.write(self._telling(work, told))
        self.heard(told)
        return result

    async def write_beside(
        self, beside: Callable[[Connection, Tell], T], alone: Callable[[Connection, Tell], T]
    ) -> T:
        """As `Store.write_beside`; what is told is heard once it is kept."""
        told: list[Note] = []
        result = await self._store.write_beside(self._telling(beside, told), self._telling(alone, told))
        self.heard(told)
        return result

    async def tell_others(self, notes: Sequence[Note]) -> None:
        """What changes nothing in the store."""
        if self._send is not _to_nobody:
            await self._store.write_beside(*[lambda connection: self._send(connection, notes)] * 2)

    def heard(self, notes: Sequence[Note]) -> None:
        """Notes of our own, or of another bridge: one of a newer release may tell what we do not know."""
        for note in notes:
            if (hearer := self._hearers.get(note.kind)) is not None:
                hearer.hear(note.name)

    def missed(self) -> None:
        for hearer in self._hearers.values():
            hearer.missed()

    def _telling(self, work: Callable[[Connection, Tell], T], told: list[Note]) -> Callable[[Connection], T]:
        def whole(connection: Connection) -> T:
            told.clear()  # the store may begin anew with the same work
            result = work(connection, told.append)
            if told:
                self._send(connection, told)
            return result

        return whole


def _to_nobody(_connection: Any, _notes: Sequence[Note]) -> None:
    """There is no other bridge on this store."""
