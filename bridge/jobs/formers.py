"""From whom an attempt was taken: of that one a refused token may still offer a result, and of no other."""

from pathlib import Path
from typing import Final

from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("formers.sql"))
KEPT_S: Final = 90 * 86_400.0  # as long as a closed row of the ledger


def note(connection: Connection, job_id: str, attempt: int, worker: str, now_s: float) -> None:
    """In the transaction that takes it. What is older than `KEPT_S` is forgotten (I6)."""
    values = {"job_id": job_id, "attempt": attempt, "worker": worker, "now": now_s}
    connection.execute(SQL["forget"], {"before": now_s - KEPT_S})
    connection.execute(SQL["note"], values)


def is_distrusted(connection: Connection, job_id: str, worker: str) -> bool:
    """Whether the job was taken from this worker because its token was revoked."""
    values = {"job_id": job_id, "worker": worker}
    return connection.execute(SQL["is_distrusted"], values).fetchone() is not None


class Formers:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def last_attempt(
        self, workspace: str, job_id: str, worker: str, attempt: int | None = None
    ) -> int | None:
        """The last attempt that the worker has or lost, or the one that is named; None: it never had it."""
        values = {"workspace_id": workspace, "job_id": job_id, "worker": worker, "attempt": attempt}

        def read(connection: Connection) -> Row:
            row: Row = connection.execute(SQL["last_attempt"], values).fetchone()
            return row

        found: int | None = (await self._store.read(read))["attempt"]
        return found

    async def distrust(self, worker: str) -> None:
        """Its token was revoked: with another one too it may no longer end what was taken from it."""
        values = {"worker": worker}
        await self._store.write(lambda connection: connection.execute(SQL["distrust"], values).rowcount)
