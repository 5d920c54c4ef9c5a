"""Hop 6, its heart: the one way a job's end goes to the cluster, one at a time for each job."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from agent.clock import Clock
from agent.wire.claims import JobId
from agent.wire.messages import Result
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.sources.source import Source


class Recorder:
    """Lives as long as the relay, so that results, cancels and lost custodians all stand in the same line.

    Only a bridge that dies between the cluster's answer and the ledger's commit may offer a second end
    of the same job later; the cluster keeps the first (agent-api.md 3.4).
    """

    def __init__(self, source: Source, ledger: Ledger, clock: Clock) -> None:
        self._source = source
        self._ledger = ledger
        self._clock = clock
        self._lines: dict[JobId, tuple[asyncio.Lock, int]] = {}

    async def record(self, result: Result, document: bytes) -> Custody | None:
        """Custody ends when this returns; the row that was open. None: it had ended before, so this is late.

        Raises `ClusterDown`; then nothing is closed.
        """
        outcome = "success" if result.success else "canceled" if result.canceled_by else "failure"
        return await self._record(result, document, outcome)

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
        await self._record(result, result.document, outcome)

    async def _record(self, result: Result, document: bytes, outcome: str) -> Custody | None:
        key = (result.job_id, result.attempt)
        async with self._turn(result.job_id):
            custody = await self._ledger.find(key)
            if custody is None or not custody.is_open:
                return None
            await self._source.send_result(custody, result, document)
            await self._ledger.close(key, outcome, finished_while_down=result.finished_while_down)
            return custody

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
