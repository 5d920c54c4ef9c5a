"""Jobs of two kinds that flow all the time: for a site over RabbitMQ, and for workers over HTTP."""

import uuid
from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.pair import Pair, Worker
from tests.support.until import until
from tests.support.world import Bridge, Cluster

DONE_S: Final = 120.0
SITE: Final = "bash"
HTTP: Final = "web"


async def _submitted(cluster: Cluster, code: str, tag: str) -> str:
    """As a client should: again, with the same id, while it is told that the store does not answer."""
    job_id = str(uuid.uuid4())

    def once() -> str:
        try:
            return cluster.submit(code, tag, job_id=job_id)
        except AssertionError as refused:
            if "exists already" in str(refused):
                return job_id
            raise

    return await until(once, within_s=DONE_S)


class Flow:
    def __init__(self, pair: Pair, trace: Path) -> None:
        self._pair = pair
        self._trace = trace
        self._at_site: Final[list[str]] = []
        self._over_http: Final[list[str]] = []

    async def push(self, count: int, bridge: Bridge) -> None:
        """So many jobs of either kind."""
        cluster = self._pair.cluster_of(bridge)
        for _ in range(count):
            number = len(self._at_site)
            code = f"echo {number}"
            self._at_site.append(await _submitted(cluster, f"{code} >> {self._trace}; {code}", SITE))
            self._over_http.append(await _submitted(cluster, code, HTTP))

    async def done(self, more: int, bridge: Bridge) -> None:
        """Returns when so many more of either kind are recorded than there are now, or all."""
        wanted = [min(count + more, len(self._at_site)) for count in self._done(bridge)]
        await until(
            lambda: all(now >= then for now, then in zip(self._done(bridge), wanted, strict=True)),
            within_s=DONE_S,
        )

    async def once_each(self, bridge: Bridge, workers: list[Worker]) -> None:
        """Each job ran once, and its one record has its own result."""
        cluster = self._pair.cluster_of(bridge)
        await cluster.all_done([*self._at_site, *self._over_http], within_s=DONE_S)
        for jobs in (self._at_site, self._over_http):
            assert [cluster.job(job)["result"] for job in jobs] == [str(n) for n in range(len(jobs))]
        assert sorted(map(int, self._trace.read_text().split())) == list(range(len(self._at_site)))
        assert sorted(row["job_id"] for row in cluster.custody()) == sorted(self._at_site)
        handed_out: Counter[str] = sum((worker.ran for worker in workers), start=Counter())
        assert handed_out == Counter(self._over_http)

    def _done(self, bridge: Bridge) -> list[int]:
        done = set(self._pair.cluster_of(bridge).completed())
        return [len(done.intersection(jobs)) for jobs in (self._at_site, self._over_http)]
