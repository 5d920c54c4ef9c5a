"""One history: sites, a bridge, a broker, a cluster, some jobs and many faults, from one seed."""

import asyncio
import hashlib
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, Final

from agent.errors import LinkDown
from agent.link.link import Enrolment
from agent.trust import SigningKey
from agent.wire.claims import JobId, Tag
from agent.wire.messages import Delivery
from bridge.relay.policy import Policies, Replace, TagPolicy
from bridge.store.connection import MIGRATIONS
from tests.simulation.bridge import SimBridge
from tests.simulation.broker import SimBroker, restore
from tests.simulation.checker import check
from tests.simulation.clock import SimClock
from tests.simulation.cluster import SimCluster, Spec
from tests.simulation.disk import Disk
from tests.simulation.faults import KINDS, Fault, plan
from tests.simulation.loop import VirtualLoop
from tests.simulation.site import Journal, SimSite

SITES: Final = (("a", ("one", "shared"), 2, None), ("b", ("two", "shared"), 1, 3), ("c", ("three",), 3, None))
TAGS: Final = ("one", "two", "three", "shared")
MIXED: Final = {"shared": ("a", "b", "c")}  # whose agents run different languages, in a mixed world
SUBMIT_S: Final = 900.0
FAULTS_S: Final = 1500.0
LONGEST_S: Final = 1000.0  # no fault lasts longer
QUIET_S: Final = 7200.0  # after the faults, all must be over within this
RESTART_S: Final = 2.0
LOOK_EVERY_S: Final = 20.0
UNWIND_S: Final = 60.0
POLICIES: Final = Policies(
    lost_after_s=3000,
    by_pattern={
        "one": TagPolicy(lost_after_s=120),
        "three": TagPolicy(lost_after_s=200, replace=Replace.NEVER),
    },
)


@dataclass(frozen=True, slots=True)
class Verdict:
    seed: int
    jobs: int
    faults: Counter[str]
    starts: int
    virtual_s: float
    violations: list[str] = field(default_factory=list)
    trace: str = ""  # a digest of all that happened: the same seed has the same one


class World:
    def __init__(
        self, seed: int, *, jobs: int, faults: int, sabotage: str = "", is_mixed: bool = False
    ) -> None:
        """`sabotage`: a promise that a simulated part breaks, to prove that the checker sees it.

        `is_mixed`: not all agents of a tag run every language, nor the same ones in each of their lives.
        """
        self.is_mixed = is_mixed
        self.seed = seed
        self.draw = Random(seed)  # noqa: S311 a history from a seed, no secret
        random.seed(seed)  # tenacity draws its gaps from here
        self.loop = VirtualLoop()
        asyncio.set_event_loop(self.loop)
        self.loop.set_exception_handler(self._heed)
        self.journal = Journal()
        self.broker = SimBroker(self.loop, self.draw)
        self.cluster = SimCluster(self.loop, self.draw)
        self.bridge = SimBridge(
            self.loop,
            self.broker,
            self.cluster,
            self._store(),
            SimClock(self.loop, self.draw),
            POLICIES,
            ready_max=10,
        )
        self.sites = [
            SimSite(
                name, self._tags_of(name, tags), self.loop, self.broker, self.cluster, self.journal,
                self.draw, self._enrol, slots=slots, ahead=ahead, is_mixed=is_mixed,
            )
            for name, tags, slots, ahead in SITES
        ]  # fmt: skip
        self.cluster.forgets = sabotage == "cluster_forgets"
        self.cluster.deadlines_lie_by_s = 100.0 if sabotage == "deadlines_lie" else 0.0
        for site in self.sites:
            site.disk.lies = sabotage == "disk_lies"
            site.repeats_starts = sabotage == "executor_repeats"
        self.specs = [(self.draw.uniform(0, SUBMIT_S), self._spec(number)) for number in range(jobs)]
        self._parties = (*self.sites, self.bridge)
        self.faults = plan(self.draw, faults, FAULTS_S)
        ends = (fault.at_s + fault.lasts_s for fault in self.faults)
        self.calm_s = max(ends, default=0.0) + RESTART_S  # nothing more goes wrong then, but planned deaths
        self.happened: Counter[str] = Counter()
        self.emptied: Counter[str] = Counter()  # queues that lost what they had confirmed
        self.bridge_jumped_s = math.inf  # from then on its clock, which deadlines go by, is not the true time

    def site(self, choice: float) -> SimSite:
        return self.sites[int(choice * len(self.sites))]

    def later(self, seconds: float, what: Callable[[], object]) -> None:
        self.loop.call_later(seconds, what)

    def down_for(
        self, party: SimSite | SimBridge, seconds: float, *, dies_at_step: int | None = None
    ) -> None:
        """Kill it; it starts again after `seconds`, and may then be about to die at a step."""
        party.kill()
        self.later(seconds, lambda: self._start(party, dies_at_step))

    def live(self, seconds: float) -> None:
        """Let this much time pass."""
        self.loop.run_until_complete(asyncio.sleep(seconds))

    def run(self) -> Verdict:
        try:
            self.loop.run_until_complete(self._history())
            violations = [*self.journal.violations, *check(self)]
        finally:
            self._stop()
        return Verdict(
            seed=self.seed,
            jobs=len(self.specs),
            faults=self.happened,
            starts=len(self.journal.starts),
            virtual_s=self.loop.time(),
            violations=violations,
            trace=self._digest(),
        )

    async def _history(self) -> None:
        self._start(self.bridge, None)
        for site in self.sites:
            self._start(site, None)
        for at_s, spec in self.specs:
            self.loop.call_at(at_s, self.cluster.submit, spec)
        for fault in self.faults:
            self.loop.call_at(fault.at_s, self._befall, fault)
        self.loop.call_at(self.calm_s, self._lift)
        deadline_s = FAULTS_S + QUIET_S
        while self.loop.time() < deadline_s and not self._is_over():
            await asyncio.sleep(LOOK_EVERY_S)
            self._look()

    def _heed(self, loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        """What a callback raised is a bug; what a killed task was left with is not."""
        if context.get("handle") is not None:
            self.journal.violations.append(f"{context['message']}: {context.get('exception')!r}")
            loop.default_exception_handler(context)

    def _is_over(self) -> bool:
        return (
            self._is_calm()
            and len(self.cluster.jobs) == len(self.specs)
            and not self.cluster.open_jobs()
            and not any(site.held() for site in self.sites)
            and not any(site.log_pieces() for site in self.sites)
            and not any(queue.ready or queue.in_hand() for queue in self.broker.queues.values())
        )

    def _is_calm(self) -> bool:
        """No fault goes on. A planned death that will not come, for lack of work, is not waited for long."""
        now_s = self.loop.time()
        doomed = any(party.process.is_doomed() for party in self._parties)
        return now_s > self.calm_s and (not doomed or now_s > FAULTS_S + LONGEST_S)

    def _befall(self, fault: Fault) -> None:
        self.happened[fault.kind] += 1
        KINDS[fault.kind](self, fault)

    def _lift(self) -> None:
        """From here on nothing more goes wrong; clocks stay as wrong as they are."""
        self.cluster.is_down = False
        self.broker.come_up()
        self.broker.unblock()
        for party in self._parties:
            restore(party.party)
            party.disk.is_full = False
            self._start(party, None)

    def _start(self, party: SimSite | SimBridge, dies_at_step: int | None) -> None:
        if party.process is not None and party.process.alive:
            return
        party.start(dies_at_step=dies_at_step)
        if dies_at_step is not None:
            party.process.at_death.append(lambda: self.later(RESTART_S, lambda: self._start(party, None)))

    def _look(self) -> None:
        """Every party is alive or down by a fault, never by itself; nothing grows without a bound (I6)."""
        for party in self._parties:
            if party.process is not None and (failure := party.process.failure()):
                self.journal.violations.append(f"{party.process.name} ended by itself: {failure!r}")
                party.process.kill()
                self._start(party, None)
        for name, queue in self.broker.queues.items():
            if name.startswith("orvanta.jobs.") and len(queue.ready) > 5 * self.bridge.ready_max:
                self.journal.violations.append(f"I6: {len(queue.ready)} jobs wait in {name}")

    def _stop(self) -> None:
        for party in self._parties:
            party.kill()
        if rest := asyncio.all_tasks(self.loop):
            self.loop.run_until_complete(asyncio.wait(rest, timeout=UNWIND_S))
        asyncio.set_event_loop(None)

    async def _enrol(self, site: SimSite) -> Enrolment:
        if self.bridge.party.is_cut:
            raise LinkDown("the bridge's side is cut off")
        enrolment = await self.bridge.enrol(site.worker, "sim", site.tags, site.languages)
        if enrolment is None:
            raise LinkDown("the bridge cannot enrol anybody now")
        return enrolment

    def _tags_of(self, name: str, tags: Sequence[str]) -> list[Tag]:
        more = [tag for tag, sites in MIXED.items() if self.is_mixed and name in sites and tag not in tags]
        return [Tag(tag) for tag in (*tags, *more)]

    def _store(self) -> Disk:
        disk = Disk([script.read_text() for script in sorted(MIGRATIONS.glob("*.sql"))], self.draw)
        key = SigningKey(self.draw.randbytes(32))
        disk.connection.execute(
            "INSERT INTO signing_key (kid, private, created_at) VALUES (?, ?, 0)", (key.kid, key.raw)
        )
        return disk

    def _spec(self, number: int) -> Spec:
        draw = self.draw
        tag = draw.choice(TAGS)
        return Spec(
            job_id=JobId(f"job-{number}"),
            tag=Tag(tag),
            language="bun" if self.is_mixed and tag in MIXED and number % 2 else "bash",
            delivery=Delivery.AT_MOST_ONCE if draw.random() < 0.3 else Delivery.AT_LEAST_ONCE,
            takes_s=draw.choice((0.01, 1.0, 30.0, 200.0)) * draw.random(),
            result_chars=draw.choice((300_000, 1_000_000)) if draw.random() < 0.08 else 20,
            lines=draw.randrange(1, 5),
            priority=draw.choice((None, None, 5)),
            lost_after_s=draw.choice((None, None, 60.0, 1000.0)),
            replace=draw.choice((None, None, Replace.NEVER, Replace.WHEN_LOST)),
            not_after_s=draw.choice((None, None, 30.0, 300.0, 2000.0)),
        )

    def _digest(self) -> str:
        digest = hashlib.sha256()
        for start in self.journal.starts:
            digest.update(repr((start.job_id, start.attempt, start.site, start.at_s)).encode())
        for job in self.cluster.jobs.values():
            digest.update(repr((job.spec.job_id, job.log)).encode())
            for offer in job.results:
                digest.update(repr(replace(offer, document=b"")).encode() + offer.document)
        return digest.hexdigest()
