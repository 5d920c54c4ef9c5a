"""The relay's supervisor: one session with the broker after another; pings go on in between."""

import asyncio
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire.claims import Tag, WorkerName
from bridge.broker.channel import Broker, QueueGone
from bridge.errors import BrokerDown
from bridge.relay.collector import Collector
from bridge.relay.dispatcher import Dispatcher
from bridge.relay.ledger import Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.source import Source
from bridge.relay.watch import Watch

log = structlog.get_logger()

GAP_MAX_S: Final = 10
STORE_RETRY_S: Final = 2.0

Connect = Callable[[QueueGone], AbstractAsyncContextManager[Broker]]


class Relay:
    def __init__(
        self,
        connect: Connect,
        source: Source,
        ledger: Ledger,
        signer: Signer,
        clock: Clock,
        policies: Policies,
        *,
        ready_max: int,
    ) -> None:
        self._connect = connect
        self._source = source
        self._ledger = ledger
        self._signer = signer
        self._clock = clock
        self._policies = policies
        self._recorder = Recorder(source, ledger, clock)
        self._lost = Lost(self._recorder, ledger, clock, policies)
        self._ready_max = ready_max
        self._broker: Broker | None = None

    async def run(self) -> None:
        """For ever. Only a bug or a cancellation ends it.

        While the store is away all stands still; then it begins as after a start, with what is in custody.
        """
        while True:
            try:
                await self._while_the_store_is_there()
            except* (WriteFailed, BrokerDown) as errors:  # the broker may fall in the same moment
                log.warning("store.down", reason=_first(errors))
            await asyncio.sleep(STORE_RETRY_S)

    async def _while_the_store_is_there(self) -> None:
        out = await self._ledger.in_custody()
        await self._source.put_back(frozenset(custody.job_id for custody in out))
        watch = Watch(
            self._source, self._ledger, self._taking_broker, self._clock, self._lost, self._recorder
        )
        async with asyncio.TaskGroup() as group:
            group.create_task(watch.run(), name="watch")
            group.create_task(self._sessions(), name="broker sessions")

    async def admit(self, worker: WorkerName, tags: frozenset[Tag]) -> None:
        """Make the queues that an enrolling agent needs. Raises `BrokerDown`."""
        if self._broker is None:
            raise BrokerDown("RabbitMQ is not reachable from the bridge now; try again")
        await self._broker.admit(worker, sorted(tags))

    def _taking_broker(self) -> Broker | None:
        """None also while it is blocked: then no agent can be told anything, and none can be heard."""
        return None if self._broker is None or self._broker.blocked else self._broker

    async def _sessions(self) -> None:
        while True:
            policy = AsyncRetrying(
                retry=retry_if_exception_type(BrokerDown),
                wait=wait_random_exponential(multiplier=0.5, max=GAP_MAX_S),
            )
            async for attempt in policy:
                with attempt:
                    await self._one_session()

    async def _one_session(self) -> None:
        """One session. Any failure of the broker ends all of it; the ledger knows where to go on.

        A session that had been up returns, so that the next loss begins with short gaps again.
        """
        came_up = False
        try:
            async with self._connect(self._publish_again) as broker:
                for agent in await self._ledger.agents():
                    await broker.ensure_agent(WorkerName(agent["worker"]))
                    for tag in agent["tags"]:
                        await broker.ensure_tag(Tag(tag))
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
                    self._clock,
                )
                self._broker = broker
                came_up = True
                self._lost.listen_anew()
                log.info("broker.up")
                async with asyncio.TaskGroup() as group:
                    group.create_task(broker.lost(), name="broker")
                    group.create_task(self._say_blocked(broker), name="blocking")
                    group.create_task(collector.run(), name="collector")
                    group.create_task(dispatcher.run(), name="dispatcher")
        except* BrokerDown as errors:
            log.warning("broker.down", reason=str(errors.exceptions[0]))
            if not came_up:
                raise BrokerDown(str(errors.exceptions[0])) from errors
        finally:
            self._broker = None

    async def _publish_again(self, tag: Tag) -> None:
        """The broker lost a queue, by an operator's hand or with its disk; the ledger has what was in it."""
        if jobs := await self._ledger.publish_again(tag):
            log.warning("queue.gone", tag=tag, jobs=jobs)

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
