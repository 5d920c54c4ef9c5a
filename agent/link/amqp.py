"""The link over RabbitMQ: a supervised session that proves, through the broker, that it consumes.

Any trouble ends the session whole, and `life.py` builds a new one.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final
from urllib.parse import quote, unquote, urlsplit

import aio_pika
import structlog
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from agent.broker_session import Session, Unroutable, message_of, open_session, session_errors
from agent.compression import compress
from agent.errors import LinkDown
from agent.link.link import Enrolment
from agent.logs import Secret, hide
from agent.tls.outbound import SYSTEM, Outbound
from agent.trust import SigningKey
from agent.wire.claims import Tag, WorkerName
from agent.wire.envelope import pack, seal
from agent.wire.messages import Message
from agent.wire.routing import CANARY, UP, UP_KINDS, control_queue, job_queue, up_key
from agent.wire.tokens import broker_login, token_id

log = structlog.get_logger()

HEARTBEAT_S: Final = 10
CONTROL_PREFETCH: Final = 100
ARRIVED_MAX: Final = 1000  # deliveries in hand; far above what the prefetches let in
CANARY_EVERY_S: Final = 20.0
CANARY_BACK_S: Final = 15.0  # for the way back, after the confirm
CANARY_LIVES_MS: Final = 60_000  # none waits in the queue of an agent that is away
PROGRESS_BYTES: Final = (
    4096  # in CANARY_BACK_S: a link that brings so much is slow, not dead; heartbeats are less
)
COUNT_EVERY_S: Final = 30.0


def link_down(why: str) -> LinkDown:
    return LinkDown(f"broker unreachable: {why}")


class AmqpDelivery:
    """One message from a queue, unacknowledged until `ack`."""

    def __init__(self, message: AbstractIncomingMessage) -> None:
        self._message = message
        self.body: bytes = message.body
        self.content_encoding: str | None = message.content_encoding
        self.headers: Mapping[str, object] = message.headers

    async def ack(self) -> None:
        with session_errors(link_down):
            await self._message.ack()


class AmqpLink:
    """Made by `connect`; implements `link.Link`.

    One channel carries every consumer, so the canary that comes back through it speaks for all of them.
    """

    vouches = False  # I4: whoever may write to the broker could have put a job there

    def __init__(self, worker: WorkerName, login: str, session: Session, device: SigningKey | None) -> None:
        """`device`: signs all that goes up; without one nothing is signed."""
        self._worker = worker
        self._login = login  # the broker refuses a message that names another sender
        self._session = session
        self._sign = None if device is None else device.sign
        self._channel: AbstractChannel
        self._consumers: dict[Tag, str] = {}
        self._opening = asyncio.Lock()  # a prefetch belongs to the consumer that is opened next
        self._jobs: asyncio.Queue[AmqpDelivery] = asyncio.Queue(ARRIVED_MAX)
        self._control: asyncio.Queue[AmqpDelivery] = asyncio.Queue(ARRIVED_MAX)
        self._canary = ""
        self._canary_back = asyncio.Event()
        self._has_used_every_right = False

    @property
    def blocked(self) -> str:
        return self._session.blocked

    async def blocked_changed(self) -> None:
        await self._session.changes.newer_than(self._session.changes.version)

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        envelope = seal(pack(messages), compress, self._sign)
        message = message_of(envelope, kind=kind, user_id=self._login)
        try:
            await self._session.publish(UP, message, up_key(kind, self._worker))
        except Unroutable as error:
            raise link_down(f"{error}; the bridge declares it") from error

    async def open_tag(self, tag: Tag, prefetch: int) -> None:
        async with self._opening:
            if tag not in self._consumers:
                self._consumers[tag] = await self._session.consume(
                    self._channel, job_queue(tag), prefetch, self._job_arrived
                )

    async def close_tag(self, tag: Tag) -> None:
        async with self._opening:
            if consumer := self._consumers.pop(tag, None):
                await self._session.cancel(self._channel, job_queue(tag), consumer)

    async def next_job(self) -> AmqpDelivery:
        return await self._jobs.get()

    async def next_control(self) -> AmqpDelivery:
        return await self._control.get()

    async def lost(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._session.lost(), name="session")
                if not self._has_used_every_right:
                    group.create_task(self._use_every_right(), name="rights")
                group.create_task(self._keep_proving(), name="canaries")
                group.create_task(self._keep_counting(), name="consumers")
        except* LinkDown as errors:
            raise errors.exceptions[0] from None

    async def _begin(self) -> None:
        """Up means: a canary has come back, or the broker says that it takes nothing now."""
        with session_errors(link_down):
            self._channel = await self._session.channel()
        await self._session.consume(
            self._channel, control_queue(self._worker), CONTROL_PREFETCH, self._control_arrived
        )
        proving = asyncio.ensure_future(self._prove_all())
        told = asyncio.ensure_future(self.blocked_changed())
        try:
            await asyncio.wait((proving, told), return_when=asyncio.FIRST_COMPLETED)
            if proving.done():
                proving.result()
        except Unroutable as error:  # a bridge of an older release made our queue
            log.warning("canary.unbound", reason=str(error))
        finally:
            proving.cancel()
            told.cancel()

    async def _prove_all(self) -> None:
        await self._prove()
        await self._use_every_right()

    async def _use_every_right(self) -> None:
        """Write each of our keys once, with nothing in it: then the broker need not ask about it later.

        It asks the bridge at the first use and keeps the answer. A result that is the first of its link must
        leave while the bridge is away too.
        """
        try:
            async with asyncio.TaskGroup() as group:
                for kind in (one for one in UP_KINDS if one != CANARY):
                    group.create_task(self.publish(kind, []), name=f"right to write {kind}")
        except* LinkDown as errors:
            raise errors.exceptions[0] from None
        self._has_used_every_right = True

    async def _prove(self) -> None:
        """Send a canary through the broker and see it come back by our own consumer. Raises `LinkDown`."""
        self._canary = secrets.token_hex(8)
        self._canary_back.clear()
        message = aio_pika.Message(
            b"",
            type=CANARY,
            correlation_id=self._canary,
            expiration=CANARY_LIVES_MS / 1000,
            user_id=self._login,
        )
        await self._session.publish(UP, message, up_key(CANARY, self._worker))
        while True:
            came_before = self._session.came_bytes
            try:
                async with asyncio.timeout(CANARY_BACK_S):
                    await self._canary_back.wait()
            except TimeoutError:
                if self._session.came_bytes - came_before < PROGRESS_BYTES:
                    raise LinkDown(
                        "connected but not consuming: the broker confirmed a canary and did not bring it "
                        f"back within {CANARY_BACK_S:.0f} s (does a copy of this spool run elsewhere?)"
                    ) from None
            else:
                return

    async def _keep_proving(self) -> None:
        has_come = self._canary_back.is_set()
        while True:
            await asyncio.sleep(CANARY_EVERY_S)
            try:
                await self._prove()
            except Unroutable as error:
                if has_come:  # it was bound: enrolling again makes the bridge bind it
                    raise link_down(str(error)) from error
            else:
                has_come = True

    async def _keep_counting(self) -> None:
        """Does the broker count a consumer on each queue that we opened?

        Twice in a row, because it counts none while it elects the queue's leader.
        """
        suspects: set[Tag] = set()
        while True:
            await asyncio.sleep(COUNT_EVERY_S)
            missing: set[Tag] = set()
            for tag, consumer in list(self._consumers.items()):
                count = await self._session.consumers(job_queue(tag))
                if count is None:
                    return
                if count == 0 and self._consumers.get(tag) == consumer:
                    missing.add(tag)
            if again := sorted(missing & suspects):
                raise link_down(f"the broker counts no consumer of {', '.join(again)}, which is open here")
            suspects = missing

    async def _job_arrived(self, message: AbstractIncomingMessage) -> None:
        await self._jobs.put(AmqpDelivery(message))

    async def _control_arrived(self, message: AbstractIncomingMessage) -> None:
        if message.type != CANARY:
            await self._control.put(AmqpDelivery(message))
            return
        if message.correlation_id == self._canary:
            self._canary_back.set()
        with session_errors(link_down):
            await message.ack()


def address(enrolment: Enrolment, bearer: Secret) -> Secret:
    """Where and as whom to log in: with the token, or with a static user that the enrolment names."""
    parts = urlsplit(enrolment.amqp_url)
    if parts.username:
        return Secret(enrolment.amqp_url)
    login = broker_login(WorkerName(enrolment.worker), token_id(bearer.reveal()))
    named = f"{quote(login, safe='')}:{quote(bearer.reveal(), safe='')}@{parts.netloc}"
    return Secret(parts._replace(netloc=named).geturl())


@asynccontextmanager
async def connect(
    enrolment: Enrolment, bearer: Secret, outbound: Outbound = SYSTEM, device: SigningKey | None = None
) -> AsyncIterator[AmqpLink]:
    """A link for as long as the block lasts, of the device with this key. Raises `LinkDown`."""
    worker = WorkerName(enrolment.worker)
    url = address(enrolment, bearer)
    hide(unquote(urlsplit(url.reveal()).password or ""))
    async with open_session(url.reveal(), worker, HEARTBEAT_S, link_down, outbound) as session:
        link = AmqpLink(worker, unquote(urlsplit(url.reveal()).username or ""), session, device)
        await link._begin()  # noqa: SLF001 the second half of making one
        yield link
