"""What agents are told beside jobs: to take nothing new; to speak more often while somebody looks."""

import asyncio
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import DatabaseError
from agent.wire.claims import WorkerName
from agent.wire.messages import Intake, Settings
from bridge.broker.channel import Broker
from bridge.errors import BrokerDown
from bridge.fleet.model import Agent, Kind
from bridge.relay.signer import Signer
from bridge.relay.telling import Teller
from bridge.store.statements import queries
from bridge.store.store import Store

SQL: Final = queries(Path(__file__).with_name("fleet.sql"))

LOOKED_AT_S: Final = 1.2  # how often an agent speaks that somebody looks at
FOR_S: Final = 60.0
AGAIN_S: Final = 30.0  # it is asked again while somebody still looks
AT_ONCE_MAX: Final = 100  # agents that are asked so: a page shows fewer
TOLD_AGAIN_S: Final = 20.0
LOOK_EVERY_S: Final = 2.0
TELL_S: Final = 5.0
THERE_S: Final = 30.0

BrokerNow = Callable[[], Broker | None]

log = structlog.get_logger()


class Wishes:
    """At each bridge of a store: an agent that is told twice does it once."""

    def __init__(self, store: Store, clock: Clock, signer: Signer, broker_now: BrokerNow | None) -> None:
        """`broker_now`: None where links are HTTP; it gives None while RabbitMQ is away or takes nothing."""
        self._store = store
        self._clock = clock
        self._signer = signer
        self._broker_now = broker_now
        self._asked_s: dict[str, float] = {}  # monotonic, by worker
        self._told_s: dict[tuple[str, bool], float] = {}

    @property
    def is_deaf(self) -> bool:
        """Whether agents could speak without being heard here."""
        return self._broker_now is not None and self._broker_now() is None

    async def run(self) -> None:
        """For ever: who is to drain, or to drain no more, is told until it says that it does."""
        while True:
            try:
                await self.tell_drains()
            except (BrokerDown, DatabaseError, TimeoutError) as error:
                log.warning("wishes.wait", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def tell_drains(self) -> None:
        """Raises `BrokerDown`."""
        broker = self._broker()
        if broker is None:
            return
        since = {"since": self._clock.wall_s() - THERE_S}
        rows = await self._store.read(lambda db: db.execute(SQL["to_tell"], since).fetchall())
        now_s = self._clock.monotonic_s()
        wanted = {(row["worker"], row["drained_by"] is not None) for row in rows}
        told = {one: at_s for one, at_s in self._told_s.items() if one in wanted}
        self._told_s = told
        for worker, drains in sorted(wanted):
            if now_s - told.get((worker, drains), -TOLD_AGAIN_S) < TOLD_AGAIN_S:
                continue
            told[worker, drains] = now_s
            intake = Intake.CLOSED if drains else Intake.OPEN
            await self._tell(broker, worker, Settings(wall_s=self._clock.wall_s(), intake=intake))

    async def look_at(self, agents: Iterable[Agent]) -> None:
        """Somebody looks at these now: called again and again. What cannot be told now is told soon."""
        broker, now_s = self._broker(), self._clock.monotonic_s()
        if broker is None:
            return
        self._asked_s = {worker: at_s for worker, at_s in self._asked_s.items() if now_s - at_s < AGAIN_S}
        for agent in agents:
            if agent.kind is not Kind.BROKER or not agent.is_there or agent.worker in self._asked_s:
                continue
            if len(self._asked_s) >= AT_ONCE_MAX:
                return
            self._asked_s[agent.worker] = now_s
            wish = Settings(wall_s=self._clock.wall_s(), ping_every_s=LOOKED_AT_S, ping_for_s=FOR_S)
            try:
                await self._tell(broker, agent.worker, wish)
            except (BrokerDown, TimeoutError) as error:
                log.warning("wishes.wait", reason=str(error))
                return

    def _broker(self) -> Broker | None:
        return None if self._broker_now is None else self._broker_now()

    async def _tell(self, broker: Broker, worker: str, wish: Settings) -> None:
        async with asyncio.timeout(TELL_S):
            await Teller(broker, self._signer).tell(WorkerName(worker), [wish])
