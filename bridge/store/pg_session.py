"""One thread's connection to PostgreSQL: it comes back after a loss, and learns what became of a commit.

Of SQLite's rows and parameters it keeps the ways: rows by name and place, truth as 0 and 1, text without NUL.
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, LiteralString

import psycopg
from psycopg import errors, postgres
from psycopg.adapt import Buffer, Dumper
from psycopg.rows import RowMaker

from agent.database import WriteFailed
from bridge.store.statements import Statement
from bridge.store.store import Cursor

CONNECT_S: Final = 5
IDLE_IN_TRANSACTION_S: Final = 10  # a bridge that hangs lets go of the others after this
LOCK_S: Final = 15
OUTCOME_EVERY_S: Final = 0.2
# What says nothing of the statement: the server, its disk, the network, a plan that a migration made stale.
LOST: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.NotSupportedError,
)
NET: Final[dict[str, Any]] = {
    "keepalives_idle": 5,
    "keepalives_interval": 2,
    "keepalives_count": 3,
    "tcp_user_timeout": 10_000,  # milliseconds
}


class OutcomeUnknown(WriteFailed):
    """The server was lost in the middle of a commit, and did not come back to say what became of it."""


class Row:
    """As `sqlite3.Row`."""

    __slots__ = ("_places", "_values")

    def __init__(self, places: Mapping[str, int], values: Sequence[Any]) -> None:
        self._places = places
        self._values = values

    def __getitem__(self, key: str | int) -> Any:
        return self._values[key if isinstance(key, int) else self._places[key]]

    def __iter__(self) -> Iterator[Any]:
        return iter(self._values)

    def __len__(self) -> int:
        return len(self._values)

    def keys(self) -> Iterable[str]:
        return self._places


class _Text(Dumper):
    """PostgreSQL has no NUL in its text: what bears one is kept with U+FFFD in its place, and never refused.

    So a made-up name in an agent's message finds nothing and breaks nothing. JSON has NUL as an escape only.
    """

    oid = postgres.types["text"].oid

    def dump(self, obj: str) -> Buffer:
        return obj.replace("\0", "\ufffd").encode()


class _Whole(Dumper):
    """Also of truth: the schema has numbers for it."""

    oid = postgres.types["int8"].oid

    def dump(self, obj: int) -> Buffer:
        return b"%d" % obj


def connect(url: str) -> psycopg.Connection[Row]:
    """Outside any transaction. Raises `psycopg.OperationalError`."""
    connection = psycopg.connect(
        url,
        autocommit=True,
        connect_timeout=CONNECT_S,
        application_name="orvanta bridge",
        options=f"-c idle_in_transaction_session_timeout={IDLE_IN_TRANSACTION_S}s -c lock_timeout={LOCK_S}s",
        row_factory=_rows,
        **NET,
    )
    adapters = connection.adapters
    adapters.register_dumper(str, _Text)
    adapters.register_dumper(int, _Whole)
    adapters.register_dumper(bool, _Whole)
    # I3: what is confirmed is on disk, whatever the server's settings say of it
    connection.execute("SELECT set_config('synchronous_commit', 'on', false)"
                       " WHERE current_setting('synchronous_commit') = 'off'")  # fmt: skip
    return connection


def _rows(cursor: psycopg.Cursor[Any]) -> RowMaker[Row]:
    columns = cursor.description or ()
    places = {column.name: place for place, column in reversed(list(enumerate(columns)))}
    return lambda values: Row(places, values)


class Transaction:
    """What work sees of the connection."""

    def __init__(self, connection: psycopg.Connection[Row]) -> None:
        self._connection = connection

    def execute(self, statement: Statement, values: Mapping[str, Any] | None = None, /) -> Cursor:
        return self._connection.execute(statement.postgresql, values or {}, binary=True)

    def executemany(self, statement: Statement, values: Iterable[Mapping[str, Any]], /) -> Cursor:
        cursor = self._connection.cursor()
        cursor.executemany(statement.postgresql, values)
        return cursor


class Session:
    """Used by one thread at a time."""

    def __init__(self, url: str, outcome_s: float) -> None:
        self._url = url
        self._outcome_s = outcome_s
        self._connection: psycopg.Connection[Row] | None = None

    def begin(self, how: LiteralString) -> Transaction:
        """Begin with these statements; on a connection that was lost in the meantime, on a new one.

        Raises `psycopg.Error`.
        """
        if self._connection is not None:
            try:
                self._connection.execute(how)
                return Transaction(self._connection)
            except errors.LockNotAvailable:
                raise
            except LOST:
                self.drop()
        self._connection = connect(self._url)
        self._connection.execute(how)
        return Transaction(self._connection)

    def say(self, command: LiteralString) -> None:
        """Raises `psycopg.Error`."""
        self._here().execute(command)

    def commit(self) -> None:
        """Durable on return. Raises `psycopg.Error` when nothing is kept, and `OutcomeUnknown`."""
        row = self._here().execute("SELECT pg_current_xact_id_if_assigned()::text").fetchone()
        changed = None if row is None else row[0]
        try:
            done = self._here().execute("COMMIT").statusmessage
        except psycopg.Error as error:
            self.drop()
            if changed is None or self._was_committed(changed, error):
                return
            raise
        if done != "COMMIT":
            raise errors.InFailedSqlTransaction(f"the server answered {done} to COMMIT")

    def _was_committed(self, transaction: str, lost: psycopg.Error) -> bool:
        """Ask the server, once it is back, what became of a commit whose answer was lost."""
        until_s = time.monotonic() + self._outcome_s
        while time.monotonic() < until_s:
            try:
                with connect(self._url) as connection:
                    row = connection.execute("SELECT pg_xact_status(%s::xid8)", (transaction,)).fetchone()
            except psycopg.Error:
                row = None
            if row is not None and row[0] in ("committed", "aborted"):
                return bool(row[0] == "committed")
            time.sleep(OUTCOME_EVERY_S)
        raise OutcomeUnknown(
            f"the database was lost in the middle of a commit ({first_line(lost)}) and has not said within "
            f"{self._outcome_s:.0f} s what became of it: it may have been kept"
        ) from lost

    def drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _here(self) -> psycopg.Connection[Row]:
        assert self._connection is not None  # noqa: S101 between `begin` and the end of the transaction
        return self._connection


def first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
