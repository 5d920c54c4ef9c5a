"""Jobs of two kinds that flow all the time: for a site over RabbitMQ, and for workers over HTTP."""

from collections import Counter
from pathlib import Path
from typing import Final

from tests.support.pair import Pair, Worker
from tests.support.until import until
from tests.support.world import Bridge

DONE_S: Final = 120.0
SITE: Final = "bash"
HTTP: Final = "web"


class Flow:
    def __init__(self, pair: Pair, trace: Path) -> None:
        self._pair = pair
        self._trace = trace
        self._at_site: Final[list[str]] = []
        self._over_http: Final[list[str]] = []

    def push(self, count: int, bridge: Bridge) -> None:
        """So many jobs of either kind."""
        cluster = self._pair.cluster_of(bridge)
        for _ in range(count):
            number = len(self._at_site)
            self._at_site.append(cluster.submit(f"echo {number} >> {self._trace}; echo {number}", SITE))
            self._over_http.append(cluster.submit(f"echo {number}", HTTP))

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
