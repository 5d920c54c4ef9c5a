"""Hop 6, its heart: the one way a job's end goes to the cluster, one at a time for each job."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass

from agent.clock import Clock
from agent.wire.claims import JobId
from agent.wire.messages import Result
from bridge.metrics.figures import RESULTS_RECORDED
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.sources.source import Source
from bridge.relay.tails import Tails


@dataclass(frozen=True, slots=True)
class _End:
    """One way in which a job may end."""

    result: Result
    document: bytes
    outcome: str
    was_run: bool

    def is_of(self, other: "_End") -> bool:
        return self.result.attempt == other.result.attempt and self.document == other.document


class Recorder:
    """Lives as long as the relay, so that results, cancels and lost custodians all stand in the same line.

    An end whose answer was lost may have been recorded, so that same end is offered until the cluster says
    so, whatever else has come by then. Only a bridge that dies in between may offer a second one in its next
    life; the cluster keeps the first (agent-api.md 3.4).
    """

    def __init__(self, source: Source, ledger: Ledger, clock: Clock) -> None:
        self._source = source
        self._ledger = ledger
        self._clock = clock
        self.tails = Tails(source, ledger, clock)
        self._lines: dict[JobId, tuple[asyncio.Lock, int]] = {}
        self._offered: dict[JobId, _End] = {}  # those whose answer is not known

    async def record(self, result: Result, document: bytes) -> Custody | None:
        """Custody ends when this returns; the row that was open. None: it had ended before, so this is late.

        Raises `ClusterDown`; then nothing is closed.
        """
        outcome = "success" if result.success else "canceled" if result.canceled_by else "failure"
        return await self._record(_End(result, document, outcome, was_run=True))

    async def end_unrun(
        self,
        custody: Custody,
        error: Mapping[str, str],
        *,
        canceled_by: str | None = None,
        canceled_reason: str | None = None,
        outcome: str | None = None,
    ) -> None:
        """End a job that nobody runs, with an error of our own. Raises `ClusterDown`."""
        result = Result(
            job_id=custody.job_id,
            attempt=custody.attempt,
            workspace=custody.workspace,
            success=False,
            document=json.dumps(error).encode(),
            finished_at=self._clock.wall_s(),
            canceled_by=canceled_by,
            canceled_reason=canceled_reason,
        )
        outcome = outcome or ("failure" if canceled_by is None else "canceled")
        await self._record(_End(result, result.document, outcome, was_run=False))

    async def _record(self, end: "_End") -> Custody | None:
        job_id = end.result.job_id
        async with self._turn(job_id):
            custody = await self._ledger.find((job_id, end.result.attempt))
            if custody is None or not custody.is_open:
                self._offered.pop(job_id, None)
                return None
            first = self._offered.setdefault(job_id, end)
            await self._source.send_result(custody, first.result, first.document)
            key = (job_id, first.result.attempt)
            await self._ledger.close(key, first.outcome, first.result if first.was_run else None)
            del self._offered[job_id]
            RESULTS_RECORDED.labels(first.outcome).inc()
            self.tails.note(custody, first.result)
            return custody if first.is_of(end) else None

    @asynccontextmanager
    async def _turn(self, job_id: JobId) -> AsyncIterator[None]:
        lock, waiting = self._lines.get(job_id, (asyncio.Lock(), 0))
        self._lines[job_id] = (lock, waiting + 1)
        try:
            async with lock:
                yield
        finally:
            lock, waiting = self._lines.pop(job_id)
            if waiting > 1:
                self._lines[job_id] = (lock, waiting - 1)
