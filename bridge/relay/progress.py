"""How far running jobs say they are: from the agents' pings to the cluster, only what is new."""

from collections import OrderedDict
from collections.abc import Mapping
from typing import Final

from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.relay.ledger import Ledger
from bridge.relay.sources.source import Source

REMEMBERED_MAX: Final = 10_000  # jobs; of a forgotten one the same percent is told once more
HUNDRED: Final = 100
JOBS_MAX: Final = 1000  # of one ping


class JobProgress:
    def __init__(self, source: Source, ledger: Ledger) -> None:
        self._source = source
        self._ledger = ledger
        self._told: OrderedDict[tuple[WorkerName, str], str] = OrderedDict()

    async def note(self, worker: WorkerName, progress: Mapping[str, str]) -> None:
        """A worker speaks for the jobs in its custody only. Raises `ClusterDown`."""
        for job_id, percent in list(progress.items())[:JOBS_MAX]:
            key = (worker, job_id)
            if self._told.get(key) == percent:
                continue
            await self._tell(worker, JobId(job_id), percent)
            self._told[key] = percent
            self._told.move_to_end(key)
            if len(self._told) > REMEMBERED_MAX:
                self._told.popitem(last=False)

    async def _tell(self, worker: WorkerName, job_id: JobId, percent: str) -> None:
        custody = await self._ledger.find((job_id, Attempt(0)))
        is_its_own = custody is not None and custody.is_open and custody.custodian == worker
        if custody is not None and is_its_own and percent.isdecimal() and int(percent) <= HUNDRED:
            await self._source.set_progress(custody, int(percent))
