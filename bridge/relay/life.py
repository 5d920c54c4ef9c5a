"""The relay's supervisor: it lives in one session with the broker after another; pings go on in between."""

import asyncio
from collections.abc import Callable
from typing import Final

import structlog

from agent.cancelling import apart
from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire.claims import Tag, WorkerName
from bridge.broker.channel import Broker
from bridge.errors import BrokerDown
from bridge.relay.collector import Collector, RequireSigned, Supply
from bridge.relay.desk import Desk
from bridge.relay.dispatcher import Dispatcher
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.source import Source
from bridge.relay.telling import Teller
from bridge.relay.watch import Watch

log = structlog.get_logger()

STORE_RETRY_S: Final = 2.0


class Relay:
    """One time of leading: what it remembers beside the ledger must not outlive that."""

    def __init__(
        self,
        desk: Desk,
        source: Source,
        ledger: Ledger,
        signer: Signer,
        clock: Clock,
        policies: Policies,
        quarantine: Quarantine,
        require_signed: RequireSigned,
        *,
        ready_max: int,
        letters: DeadLetters | None = None,
        supply: Supply | None = None,
    ) -> None:
        """`letters`: where dead letters go; without, they stay in the broker.

        `supply`: what sends agents what jobs import; without, nothing is sent.
        """
        self._supply = supply
        self._desk = desk
        self._letters = letters
        self._require_signed = require_signed
        self._source = source
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._policies = policies
        self._recorder = Recorder(source, ledger, clock)
        self._lost = Lost(self._recorder, ledger, clock, policies)
        self._quarantine = quarantine
        self._ready_max = ready_max

    async def run(self) -> None:
        """For ever. Only a bug or a cancellation ends it.

        While the store is away all stands still; then it begins as after a start, with what is in custody.
        """
        while True:
            try:
                await apart(self._while_the_store_is_there())
            except* (WriteFailed, BrokerDown) as errors:  # the broker may fall in the same moment
                log.warning("store.down", reason=_first(errors))
            await asyncio.sleep(STORE_RETRY_S)

    async def _while_the_store_is_there(self) -> None:
        out = await self._ledger.in_custody()
        await self._source.put_back(frozenset(custody.job_id for custody in out))
        watch = Watch(
            self._source,
            self._ledger,
            self._desk.taking_broker,
            self._clock,
            self._lost,
            self._recorder,
            self._signer,
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run(), name="watch")
            group.create_task(self._desk.sessions(self._session), name="broker sessions")

    async def take_from(self, worker: WorkerName, why: str, *, is_trusted: bool) -> None:
        """All that this agent holds: its token has ended. Raises `ClusterDown`."""
        await self._lost.take_from(worker, why, is_trusted=is_trusted)

    async def _session(self, broker: Broker, up: Callable[[], None]) -> None:
        dispatcher = Dispatcher(
            self._source,
            self._ledger,
            broker,
            self._signer,
            self._clock,
            self._policies,
            self._recorder,
            ready_max=self._ready_max,
        )
        collector = Collector(
            self._source,
            self._ledger,
            broker,
            self._lost,
            self._recorder,
            self._quarantine,
            self._clock,
            self._require_signed,
            self._signer,
            self._supply,
        )
        self._lost.listen_anew()
        up()
        async with asyncio.TaskGroup() as group:
            group.create_task(broker.lost(), name="broker")
            group.create_task(self._ensure_queues(broker), name="queues")
            group.create_task(self._say_blocked(broker), name="blocking")
            group.create_task(collector.run(), name="collector")
            group.create_task(dispatcher.run(), name="dispatcher")
            if self._supply is not None:
                group.create_task(self._supply.run(Teller(broker, self._signer).tell), name="bundles")
            if self._letters is not None:
                group.create_task(self._letters.run(broker), name="dead letters")

    async def _ensure_queues(self, broker: Broker) -> None:
        """Of every agent: what is gone is found, also where nothing is sent. Of many it takes a while."""
        agents = await self._ledger.agents()
        for tag in sorted({Tag(tag) for agent in agents for tag in agent["tags"]}):
            await broker.ensure_tag(tag)
        for agent in agents:
            await broker.ensure_agent(WorkerName(agent["worker"]))

    async def _say_blocked(self, broker: Broker) -> None:
        """A memory or disk alarm pauses what we publish and ends nothing."""
        said = ""
        while True:
            if broker.blocked != said:
                said = broker.blocked
                log.warning("broker.blocked" if said else "broker.unblocked", reason=said)
            await broker.blocked_changed()


def _first(group: BaseExceptionGroup) -> str:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return str(error)
