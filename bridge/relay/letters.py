"""What came to nothing, and why, until an operator decides: the broker's dead letters, where people see them.

A dead letter never has custody: the job that an agent refused is in the ledger still, and its sender keeps a
result until it gets a receipt. So the oldest may be forgotten.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, Final

import structlog
from aio_pika.abc import AbstractIncomingMessage

from agent.clock import Clock
from agent.compression import decompress
from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.envelope import unpack, unseal
from agent.wire.errors import WireError
from agent.wire.messages import Job
from agent.wire.routing import DEAD
from bridge.broker.channel import Broker, broker_errors
from bridge.errors import NotFound
from bridge.metrics.figures import LETTERS_KEPT
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("letters.sql"))

PREFETCH: Final = 20
KEPT_MAX: Final = 2_000
BODY_MAX_BYTES: Final = 192 * 1024  # a result with its document inline has at most 128 KiB
TEXT_MAX_CHARS: Final = 2_000
NEWEST: Final = 2**63 - 1  # before this is every letter

log = structlog.get_logger()


class LetterKind(StrEnum):
    JOB = "job"  # an agent refused it
    RESULT = "result"  # of a job that the ledger does not know, or that was not this agent's
    MESSAGE = "message"  # cannot be read, or nobody vouches for it
    UNRUN = "unrun"  # of a job that ended without having been run
    RETURNED = "returned"  # by the broker itself
    POISON = "poison"  # a job that killed its host again and again; noted where its end is recorded


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    kind: LetterKind
    worker: WorkerName
    job_id: JobId
    attempt: Attempt
    reason: str
    body: bytes
    id: int = 0


class DeadLetters:
    def __init__(self, store: Store, clock: Clock, most: int = KEPT_MAX) -> None:
        self._store = store
        self._clock = clock
        self._most = most

    async def run(self, broker: Broker) -> None:
        """One life of the broker session: what is in the queue comes here. Raises `WriteFailed`."""
        arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue(PREFETCH)
        await broker.consume(DEAD, PREFETCH, arrived.put)
        while True:
            message = await arrived.get()
            await self.keep(letter_of(message))
            with broker_errors():
                await message.ack()

    async def keep(self, letter: Letter) -> None:
        """Durable on return."""
        has_body = letter.kind in (LetterKind.RESULT, LetterKind.MESSAGE, LetterKind.UNRUN)
        values = {
            "fingerprint": _fingerprint(letter),
            "kind": letter.kind.value,
            "now": self._clock.wall_s(),
            "worker": letter.worker,
            "job_id": letter.job_id,
            "attempt": letter.attempt,
            "reason": letter.reason,
            "bytes": len(letter.body),
            "body": letter.body if has_body and len(letter.body) <= BODY_MAX_BYTES else None,
        }

        def write(db: Connection) -> None:
            db.execute(SQL["keep"], values)
            db.execute(SQL["forget"], {"most": self._most})

        await self._store.write(write)
        LETTERS_KEPT.labels(letter.kind.value).inc()
        log.info("letter.kept", kind=letter.kind, worker=letter.worker, job_id=letter.job_id)

    async def listed(
        self, *, kind: str = "", worker: str = "", before: int = NEWEST, most: int = 100
    ) -> list[dict[str, Any]]:
        """The newest first, without their bodies; empty asks for all."""
        values = {"kind": kind or None, "worker": worker or None, "before": before, "most": most}
        return [dict(row) for row in await self._fetch("listed", values)]

    async def counts(self) -> dict[str, int]:
        return {row["kind"]: row["letters"] for row in await self._fetch("counts", {})}

    async def one(self, letter_id: int) -> Letter:
        """Raises `NotFound`."""
        rows = await self._fetch("one", {"id": letter_id})
        if not rows:
            raise NotFound(f"there is no dead letter {letter_id}; it was decided on, or forgotten")
        values = dict(rows[0])
        return Letter(**values | {"kind": LetterKind(values["kind"]), "body": values["body"] or b""})

    async def discard(self, letter_id: int) -> None:
        """Raises `NotFound`."""
        if not await self._change("discard", {"id": letter_id}):
            raise NotFound(f"there is no dead letter {letter_id}; it was decided on, or forgotten")

    async def discard_all(self, upto: int, *, kind: str = "", worker: str = "") -> int:
        """Those with an id up to this one; how many."""
        return await self._change(
            "discard_all", {"upto": upto, "kind": kind or None, "worker": worker or None}
        )

    async def _fetch(self, name: str, values: Mapping[str, Any]) -> Sequence[Row]:
        return await self._store.read(lambda db: db.execute(SQL[name], values).fetchall())

    async def _change(self, name: str, values: Mapping[str, Any]) -> int:
        return await self._store.write(lambda db: db.execute(SQL[name], values).rowcount)


def letter_of(message: AbstractIncomingMessage) -> Letter:
    """What the bridge wrote into its headers (`publish_dead`); of what the broker returned, what it is of.

    The headers of a returned message are its sender's own, so nothing in them is believed.
    """
    if "x-death" in message.headers:
        return _returned(message)
    said = {name: _text(value) for name, value in message.headers.items()}
    kind, attempt = said.get("kind", ""), said.get("attempt", "")
    return Letter(
        kind=LetterKind(kind) if kind in tuple(LetterKind) else LetterKind.MESSAGE,
        worker=WorkerName(said.get("worker", "")),
        job_id=JobId(said.get("job_id", "")),
        attempt=Attempt(int(attempt)) if attempt.isdecimal() else Attempt(0),
        reason=said.get("reason", ""),
        body=message.body,
    )


def _returned(message: AbstractIncomingMessage) -> Letter:
    """Only the bridge can have written what was in a queue of jobs."""
    why = _text(message.headers.get("x-first-death-reason", ""))
    queue = _text(message.headers.get("x-first-death-queue", ""))
    job: Job | None = None
    try:
        (first,) = unpack(unseal(message.body, message.content_encoding, decompress))
        job = first if isinstance(first, Job) else None
    except (WireError, ValueError):
        log.info("letter.no_job", queue=queue)
    return Letter(
        kind=LetterKind.RETURNED,
        worker=WorkerName(""),
        job_id=JobId("") if job is None else job.job_id,
        attempt=Attempt(0) if job is None else job.attempt,
        reason=f"the broker took it out of {queue}: {why}",
        body=message.body,
    )


def _text(value: object) -> str:
    """As both stores keep it."""
    return str(value).replace("\0", "\ufffd").encode(errors="replace").decode()[:TEXT_MAX_CHARS]


def _fingerprint(letter: Letter) -> str:
    whole = hashlib.sha256()
    for part in (letter.kind, letter.worker, letter.job_id, str(letter.attempt), letter.reason):
        whole.update(part.encode() + b"\0")
    whole.update(letter.body)
    return whole.hexdigest()
