"""What is asked about one job beside its record: progress, streamed result, arguments, times."""

from pathlib import Path
from typing import Annotated, Final

from msgspec import Meta, Struct

from agent.clock import Clock
from agent.wire.claims import Claims
from bridge.errors import BadRequest, NotFound
from bridge.jobs import transitions
from bridge.jobs.model import rfc3339
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("details.sql"))
STREAM_MAX_CHARS: Final = 16 * 1024 * 1024  # for one job (I6); the result itself comes with its end

Percent = Annotated[int, Meta(ge=0, le=100)]


class Progress(Struct):
    percent: Percent
    flow_job_id: str | None = None


class StreamPiece(Struct):
    """Body of push_result_stream (agent-api.md 2.1); `offset` is the piece's number."""

    result_stream: str
    offset: Annotated[int, Meta(ge=-(2**31), le=2**31 - 1)]


class Timing(Struct):
    created_at: str | None
    started_at: str | None
    duration_ms: int | None


class Streamed(Struct):
    text: str
    length: int


class Details:
    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    async def require(self, workspace: str, job_id: str) -> Row:
        """Raises `NotFound`."""
        return await self._store.read(lambda connection: _found(connection, workspace, job_id))

    async def timing(self, workspace: str, job_id: str) -> Timing:
        """Raises `NotFound`, also for a job that is not completed."""
        row = await self.require(workspace, job_id)
        if row["status"] is None:
            raise NotFound(f"job {job_id} is not completed yet")
        return Timing(rfc3339(row["created_at"]), rfc3339(row["started_at"]), row["duration_ms"])

    async def set_progress(self, workspace: str, job_id: str, percent: int) -> None:
        """Raises `NotFound`, and `BadRequest` when the job is completed."""

        def write(connection: Connection) -> None:
            if _found(connection, workspace, job_id)["status"] is not None:
                raise BadRequest(f"job {job_id} is completed")
            connection.execute(SQL["set_progress"], {"id": job_id, "percent": percent})

        await self._store.write(write)

    async def progress(self, workspace: str, job_id: str) -> int | None:
        """In percent; None when the job never said. Raises `NotFound`."""

        def read(connection: Connection) -> int | None:
            _found(connection, workspace, job_id)
            row = connection.execute(SQL["progress"], {"id": job_id}).fetchone()
            return None if row is None else int(row["percent"])

        return await self._store.read(read)

    async def append_stream(self, workspace: str, job_id: str, piece: StreamPiece, caller: Claims) -> None:
        """A piece that came before changes nothing: agents send again what was not answered.

        Raises `NotFound` when the job is none of the caller's (I4).
        """
        place = {"id": job_id, "place": piece.offset}

        def write(connection: Connection) -> None:
            row = transitions.standing(connection, job_id, workspace)
            if row is None or not transitions.may_speak(row, caller):
                raise NotFound(f"job {job_id} not found in workspace {workspace}")
            text = piece.result_stream.replace("\0", "").encode(errors="replace").decode()
            known = connection.execute(SQL["piece"], place).fetchone()
            (length,) = connection.execute(SQL["stream_length"], {"id": job_id}).fetchone()
            repeated = known is not None and known["text"].endswith(text)
            if text and not repeated and length + len(text) <= STREAM_MAX_CHARS:
                connection.execute(SQL["add_piece"], {**place, "text": text})

        await self._store.write(write)

    async def stream(self, workspace: str, job_id: str, offset: int) -> Streamed:
        """What was streamed after `offset` characters. Raises `NotFound`."""

        def read(connection: Connection) -> Streamed:
            _found(connection, workspace, job_id)
            text = "".join(row["text"] for row in connection.execute(SQL["stream"], {"id": job_id}))
            return Streamed(text[offset:], len(text))

        return await self._store.read(read)

    async def counts(self) -> dict[str, tuple[int, int]]:
        """Tag → how many due jobs wait, how many run."""
        now = {"now": self._clock.wall_s()}

        def read(connection: Connection) -> dict[str, tuple[int, int]]:
            rows = connection.execute(SQL["queue_counts"], now)
            return {row["tag"]: (row["waiting"], row["running"]) for row in rows}

        return await self._store.read(read)


def _found(connection: Connection, workspace: str, job_id: str) -> Row:
    values = {"id": job_id, "workspace_id": workspace}
    return found(connection, SQL["one"], values, f"job {job_id} not found in workspace {workspace}")
