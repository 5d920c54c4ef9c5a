"""Results that nobody vouches for: of agents whose token was revoked. An operator decides on each."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import structlog

from agent.wire.claims import Attempt, JobId, TokenId, WorkerName
from agent.wire.envelope import pack, unpack
from agent.wire.messages import Result
from bridge.errors import BadRequest, NotFound
from bridge.relay.assembling import Assembly
from bridge.relay.ledger import Ledger
from bridge.relay.recorder import Recorder

log = structlog.get_logger()

IsRevoked = Callable[[TokenId], Awaitable[bool]]


@dataclass(frozen=True, slots=True)
class Kept:
    """The place of one result in quarantine."""

    job_id: JobId
    attempt: Attempt
    worker: WorkerName


class Quarantine:
    def __init__(self, ledger: Ledger, recorder: Recorder, is_revoked: IsRevoked) -> None:
        self._ledger = ledger
        self._recorder = recorder
        self.is_revoked = is_revoked

    async def keep(self, worker: WorkerName, result: Result, assembly: Assembly) -> None:
        """Durable on return; with its document, unless its parts never came."""
        try:
            document = await assembly.document_of(result)
        except TimeoutError:
            document = None
        kept = Kept(result.job_id, result.attempt, worker)
        await self._ledger.quarantine(kept.job_id, kept.attempt, kept.worker, pack([result]), document)
        log.warning("result.quarantined", job_id=kept.job_id, attempt=kept.attempt, worker=worker)

    async def listed(self) -> list[dict[str, Any]]:
        """What is kept, decided or not, the newest first; without the documents."""
        return await self._ledger.quarantined()

    async def document(self, kept: Kept) -> bytes:
        """Raises `NotFound`."""
        return (await self._undecided(kept))[1]

    async def accept(self, kept: Kept, by: str) -> None:
        """Record it as the job's result.

        Raises `NotFound`, `ClusterDown`; `BadRequest` when the job has ended: a recorded result stays (I1).
        """
        result, document = await self._undecided(kept)
        if await self._recorder.record(result, document) is None:
            raise BadRequest(
                f"job {kept.job_id} has ended and keeps its recorded result; this one can be read or rejected"
            )
        await self._decided(kept, "accepted", by)

    async def reject(self, kept: Kept, by: str) -> None:
        """Its document goes. Raises `NotFound`."""
        await self._undecided(kept)
        await self._decided(kept, "rejected", by)

    async def _decided(self, kept: Kept, decision: str, by: str) -> None:
        await self._ledger.decide(kept.job_id, kept.attempt, kept.worker, decision, by)
        log.info("result.decided", job_id=kept.job_id, attempt=kept.attempt, decision=decision, by=by)

    async def _undecided(self, kept: Kept) -> tuple[Result, bytes]:
        row = await self._ledger.in_quarantine(kept.job_id, kept.attempt, kept.worker)
        if row is None or row["document"] is None:
            raise NotFound(
                f"no result of {kept.job_id} by {kept.worker} waits in quarantine with its document"
            )
        (result,) = unpack(row["result"])
        assert isinstance(result, Result)  # noqa: S101 `keep` packed it
        return result, row["document"]
