"""What the bridge's rooms know of the store: transactions, in which statements run.

On SQLite and on PostgreSQL alike, a `write` is alone while it runs, across all processes of the store; a
`read` sees one moment, however many statements it has.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol, TypeVar

from bridge.store.statements import Statement

T = TypeVar("T")


class Taken(Exception):
    """A row with this key is there already, or what a row refers to is not. Nothing of the work was kept."""


class NotBeside(Exception):
    """Raised by work that finds it has to be alone: of what it did nothing is kept."""


class Row(Protocol):
    """By the column's name, and in the columns' order."""

    def __getitem__(self, key: str, /) -> Any: ...

    def __iter__(self) -> Iterator[Any]: ...

    def keys(self) -> Iterable[str]: ...


class Cursor(Protocol):
    @property
    def rowcount(self) -> int:
        """How many rows the statement changed."""
        ...

    def fetchone(self) -> Any:
        """The next row, or None."""
        ...

    def fetchall(self) -> list[Any]: ...

    def __iter__(self) -> Iterator[Any]: ...


class Connection(Protocol):
    """Inside one transaction, which the store begins and ends."""

    def execute(self, statement: Statement, values: Mapping[str, Any] = ..., /) -> Cursor: ...

    def executemany(self, statement: Statement, values: Iterable[Mapping[str, Any]], /) -> Cursor: ...


Work = Callable[[Connection], T]


class Store(Protocol):
    """Closed by whoever opened it."""

    @property
    def is_shared(self) -> bool:
        """Whether other bridges may work on it too."""
        ...

    @property
    def key_path(self) -> Path:
        """The file with the key of the store's secrets: never in the store itself."""
        ...

    async def write(self, work: Callable[[Connection], T]) -> T:
        """Run `work` alone; on return it is durable.

        Raises what `work` raises (then nothing of it is kept), `Taken`, `WriteFailed` and `Damaged`.
        """
        ...

    async def write_beside(self, beside: Callable[[Connection], T], alone: Callable[[Connection], T]) -> T:
        """As `write`, for work that by its locks may run beside other such work, never beside a `write`.

        Where `beside` raises `NotBeside`, and on a store with one writer, `alone` is run instead.
        """
        ...

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` on what is committed. Raises `ReadFailed` and `Damaged`."""
        ...

    async def close(self) -> None: ...
