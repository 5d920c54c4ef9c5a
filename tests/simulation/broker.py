"""A model of RabbitMQ and of the links to it: what a real one may lose, delay, repeat and reorder.

A confirmed message survives. An unconfirmed one may have arrived. What was delivered and not acknowledged
when a session ends comes again, to anyone.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

from agent.changes import Changes
from agent.wire.routing import CONTROL, DEAD, EVENTS, JOBS, LOGS, PINGS, RESULTS, UP
from tests.simulation.loop import VirtualLoop
from tests.simulation.process import Process

LATENCY_S: Final = (0.001, 0.15)
BYTE_S: Final = 1e-6
NOTICED_S: Final = (0.0, 25.0)  # how long until a silent link counts as lost: the heartbeats
UP_QUEUES: Final = {"result": RESULTS, "blob": RESULTS, "event": EVENTS, "ping": PINGS, "log": LOGS}


@dataclass(eq=False)
class Mail:
    key: str
    body: bytes
    headers: Mapping[str, Any]
    content_encoding: str | None
    user_id: str | None = None  # the broker has compared it with the log-in


@dataclass(eq=False)
class Party:
    """One end of a link, as the cable sees it."""

    name: str
    is_cut: bool = False
    sessions: list["Session"] = field(default_factory=list)


class Consumer:
    def __init__(self, session: "Session", prefetch: int, arrived: Callable[["Delivered"], None]) -> None:
        self.session = session
        self.prefetch = prefetch
        self.arrived = arrived
        self.open = True
        self.unacked: dict[int, Delivered] = {}
        self.last_arrival_s = 0.0

    def has_room(self) -> bool:
        return self.open and len(self.unacked) < self.prefetch


class Queue:
    def __init__(self, broker: "SimBroker", name: str) -> None:
        self.name = name
        self.ready: deque[Mail] = deque()
        self.consumers: list[Consumer] = []
        self._broker = broker
        self._next = 0

    def in_hand(self) -> int:
        """Delivered, not yet acknowledged."""
        return sum(len(consumer.unacked) for consumer in self.consumers)

    def pump(self) -> None:
        """Hand out what waits, in turn, as far as the prefetches allow; in order for each consumer."""
        while self.ready:
            free = [consumer for consumer in self.consumers if consumer.has_room()]
            if not free:
                return
            self._next += 1
            consumer = free[self._next % len(free)]
            delivered = Delivered(next(self._broker.tags), self, consumer, self.ready.popleft())
            consumer.unacked[delivered.number] = delivered
            consumer.last_arrival_s = max(  # never two at once: the loop does not order what is due together
                consumer.last_arrival_s + BYTE_S, self._broker.loop.time() + self._broker.latency_s()
            )
            self._broker.loop.call_at(consumer.last_arrival_s, consumer.session.arrive, delivered)


class Delivered:
    """A message in somebody's hands, shaped as the product's clients shape it."""

    def __init__(self, number: int, queue: Queue, consumer: Consumer, mail: Mail) -> None:
        self.number = number
        self.queue = queue
        self.consumer = consumer
        self.mail = mail
        self.body = mail.body
        self.headers = mail.headers
        self.content_encoding = mail.content_encoding
        self.routing_key = mail.key
        self.user_id = mail.user_id

    async def ack(self) -> None:
        self.consumer.session.settle(self, requeue=False)

    async def nack(self, *, requeue: bool) -> None:
        self.consumer.session.settle(self, requeue=requeue)


class SimBroker:
    def __init__(self, loop: VirtualLoop, draw: Random) -> None:
        self.loop = loop
        self.draw = draw
        self.is_down = False
        self.alarm = ""  # why it takes nothing: low on memory or disk
        self.alarms = Changes()
        self.queues: dict[str, Queue] = {}
        self.tags = itertools.count(1)
        self.dead: list[tuple[bytes, str]] = []
        self.sessions: list[Session] = []
        for name in (RESULTS, EVENTS, PINGS, LOGS):
            self.declare(name)

    def latency_s(self) -> float:
        return self.draw.uniform(*LATENCY_S)

    def declare(self, name: str) -> Queue:
        return self.queues.setdefault(name, Queue(self, name))

    def route(self, exchange: str, mail: Mail) -> bool:
        """False: no queue takes it."""
        if exchange == DEAD:
            self.dead.append((mail.body, str(mail.headers.get("reason"))))
            return True
        if exchange == JOBS:
            name = "orvanta.jobs." + mail.key.split(".")[1]
        elif exchange == UP:
            name = UP_QUEUES[mail.key.split(".")[0]]
        else:
            assert exchange == CONTROL
            name = mail.key
        queue = self.queues.get(name)
        if queue is None:
            return False
        queue.ready.append(mail)
        queue.pump()
        return True

    def go_down(self) -> None:
        self.is_down = True
        for session in list(self.sessions):
            session.end("the broker went away")

    def come_up(self) -> None:
        self.is_down = False

    def delete(self, name: str) -> None:
        """With all that is in it. Whoever consumed from it is told, and ends its session."""
        queue = self.queues.pop(name)
        for consumer in list(queue.consumers):
            consumer.unacked.clear()
            consumer.session.end("the broker cancelled a consumer")

    def block(self, why: str) -> None:
        """From now on it takes no message; it goes on to deliver, and to hear acknowledgements."""
        self.alarm = why
        self.alarms.note()

    def unblock(self) -> None:
        self.block("")


class Session:
    """One connection. `down` makes the product's own error for a link that is gone."""

    def __init__(
        self, broker: SimBroker, party: Party, process: Process, down: Callable[[str], Exception]
    ) -> None:
        self.broker = broker
        self.party = party
        self.process = process
        self.down = down
        self.lost_why: str | None = None
        self.gone = asyncio.Event()
        self.consumers: list[Consumer] = []
        self._settling: list[tuple[Delivered, bool]] = []
        party.sessions.append(self)
        broker.sessions.append(self)
        process.at_death.append(lambda: self.end("the process died"))

    @classmethod
    async def connected(
        cls, broker: SimBroker, party: Party, process: Process, down: Callable[[str], Exception]
    ) -> "Session":
        process.step()
        await broker.loop.pause(2 * broker.latency_s())
        if broker.is_down or party.is_cut:
            raise down("cannot connect")
        return cls(broker, party, process, down)

    async def publish(
        self, exchange: str, mail: Mail, declare: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Returns with the confirm. An error leaves open whether it arrived."""
        self.process.step()
        await self.unblocked()
        await self._travel()
        if not self.broker.route(exchange, mail):
            assert declare is not None, f"nothing takes {mail.key}"
            await declare()
            self.broker.route(exchange, mail)
        await self._travel()
        self.process.step()

    async def unblocked(self) -> None:
        """Wait while an alarm lasts, or until the session ends."""
        while self.broker.alarm and self.lost_why is None:
            await self.broker.alarms.newer_than(self.broker.alarms.version)

    async def call(self) -> None:
        """There and back, for what changes nothing that matters here."""
        self.process.step()
        await self._travel()
        await self._travel()

    async def _travel(self) -> None:
        if self.lost_why is None:
            await self.broker.loop.pause(self.broker.latency_s())
        if self.lost_why is None and self.party.is_cut:
            await self.gone.wait()  # a stalled link keeps us waiting until the heartbeats fail
        if self.lost_why is not None:
            raise self.down(self.lost_why)

    def consume(self, name: str, prefetch: int, arrived: Callable[[Delivered], None]) -> Consumer:
        consumer = Consumer(self, prefetch, arrived)
        self.consumers.append(consumer)
        queue = self.broker.declare(name)
        queue.consumers.append(consumer)
        queue.pump()
        return consumer

    def cancel(self, name: str, consumer: Consumer) -> None:
        consumer.open = False
        self.broker.queues[name].consumers.remove(consumer)

    def arrive(self, delivered: Delivered) -> None:
        if self.lost_why is None and not self.party.is_cut and self.process.alive:
            delivered.consumer.arrived(delivered)

    def settle(self, delivered: Delivered, *, requeue: bool) -> None:
        """An acknowledgement is written and not answered: on a cut link it is simply lost."""
        self.process.step()
        if self.lost_why is not None:
            raise self.down(self.lost_why)
        self._settling.append((delivered, requeue))
        self.broker.loop.call_later(self.broker.latency_s(), self._settled, delivered, requeue)

    def close(self) -> None:
        """By its own will: the broker reads what was written before, and then that it is over."""
        if self.lost_why is None:
            for delivered, requeue in list(self._settling):
                self._settled(delivered, requeue)
        self.end("closed")

    def _settled(self, delivered: Delivered, requeue: bool) -> None:  # noqa: FBT001 a callback of the loop
        if (delivered, requeue) in self._settling:
            self._settling.remove((delivered, requeue))
        if self.party.is_cut or delivered.number not in delivered.consumer.unacked:
            return
        del delivered.consumer.unacked[delivered.number]
        if requeue:
            delivered.queue.ready.appendleft(delivered.mail)
        delivered.queue.pump()

    def end(self, why: str) -> None:
        """Both ends know now: the broker takes back what was not acknowledged, in its order."""
        if self.lost_why is not None:
            return
        self.lost_why = why
        self.gone.set()
        self.broker.alarms.note()
        self.party.sessions.remove(self)
        self.broker.sessions.remove(self)
        for consumer in self.consumers:
            consumer.open = False
            for queue in self.broker.queues.values():
                if consumer in queue.consumers:
                    queue.consumers.remove(consumer)
        for delivered in sorted(self._unacked(), key=lambda one: -one.number):
            delivered.queue.ready.appendleft(delivered.mail)
            delivered.queue.pump()

    def _unacked(self) -> list[Delivered]:
        held = [one for consumer in self.consumers for one in consumer.unacked.values()]
        for consumer in self.consumers:
            consumer.unacked.clear()
        return held


def cut(broker: SimBroker, party: Party, *, stalls: bool) -> None:
    """No byte passes any more. A reset is known at once, a stall only when heartbeats fail."""
    party.is_cut = True
    for session in list(party.sessions):
        noticed_s = broker.draw.uniform(*NOTICED_S) if stalls else 0.0
        broker.loop.call_later(noticed_s, session.end, "no heartbeats")


def restore(party: Party) -> None:
    """Bytes pass again; a session that nobody has given up yet lives on without what was lost on the way."""
    for session in list(party.sessions):
        session.end("bytes were lost")
    party.is_cut = False
