"""This bridge's sessions with the broker, and what every bridge does in them: it lets agents in."""

from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Final

import structlog
from tenacity import AsyncRetrying, retry_if_exception_type, wait_random_exponential

from agent.cancelling import apart
from agent.wire.claims import Tag, WorkerName
from bridge.broker.channel import Broker, QueueGone
from bridge.errors import BrokerDown
from bridge.relay.ledger import Ledger

log = structlog.get_logger()

GAP_MAX_S: Final = 10

Connect = Callable[[QueueGone], AbstractAsyncContextManager[Broker]]
Session = Callable[[Broker, Callable[[], None]], Awaitable[None]]  # it calls back when it is up


class Desk:
    """Agents enrol with any bridge, the leader or not, so it lives as long as the process."""

    def __init__(self, connect: Connect, ledger: Ledger) -> None:
        self._connect = connect
        self._ledger = ledger
        self._broker: Broker | None = None

    @property
    def broker(self) -> Broker | None:
        """None while there is no session, or it is not up yet."""
        return self._broker

    def taking_broker(self) -> Broker | None:
        """None also while it is blocked: then no agent can be told anything, and none can be heard."""
        return None if self._broker is None or self._broker.blocked else self._broker

    async def admit(self, worker: WorkerName, tags: frozenset[Tag]) -> None:
        """Make the queues that an enrolling agent needs. Raises `BrokerDown`."""
        if self._broker is None:
            raise BrokerDown("RabbitMQ is not reachable from the bridge now; try again")
        await self._broker.admit(worker, sorted(tags))

    async def stand_by(self) -> None:
        """For ever: sessions in which nothing is done but to let agents in."""

        async def idle(broker: Broker, up: Callable[[], None]) -> None:
            up()
            await broker.lost()

        await self.sessions(idle)

    async def sessions(self, session: Session) -> None:
        """For ever: one session after another. Only a bug or a cancellation ends it."""
        while True:
            policy = AsyncRetrying(
                retry=retry_if_exception_type(BrokerDown),
                wait=wait_random_exponential(multiplier=0.5, max=GAP_MAX_S),
            )
            async for attempt in policy:
                with attempt:
                    await apart(self._one(session))

    async def _one(self, session: Session) -> None:
        """Any failure of the broker ends all of the session; the ledger knows where to go on.

        One that had been up returns, so that the next loss begins with short gaps again.
        """
        try:
            async with self._connect(self._publish_again) as broker:

                def up() -> None:
                    self._broker = broker
                    log.info("broker.up")

                await session(broker, up)
        except* BrokerDown as errors:
            log.warning("broker.down", reason=str(errors.exceptions[0]))
            if self._broker is None:
                raise BrokerDown(str(errors.exceptions[0])) from errors
        finally:
            self._broker = None

    async def _publish_again(self, tag: Tag) -> None:
        """The broker lost a queue, by an operator's hand or with its disk; the ledger has what was in it."""
        if jobs := await self._ledger.publish_again(tag):
            log.warning("queue.gone", tag=tag, jobs=jobs)
