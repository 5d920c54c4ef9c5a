"""Hop 6 and the events on the way: what agents send up reaches the ledger and the cluster."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol

import structlog
from aio_pika.abc import AbstractIncomingMessage

from agent.cancelling import apart
from agent.clock import Clock
from agent.compression import decompress
from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.envelope import pack, unpack, unseal
from agent.wire.errors import WireError
from agent.wire.messages import (
    Accepted,
    Blob,
    Bye,
    Delivery,
    Grant,
    Hello,
    Log,
    Message,
    Ping,
    Receipt,
    Rejected,
    Result,
    Revoke,
    Settings,
    Started,
    Want,
)
from agent.wire.routing import EVENTS, LOGS, PINGS, RESULTS
from bridge.broker.channel import Broker, broker_errors
from bridge.errors import BrokerDown, ClusterDown
from bridge.metrics.figures import RESULTS_LATE
from bridge.relay.assembling import Assembly
from bridge.relay.checking import check_held
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.letters import LetterKind
from bridge.relay.lost import Lost
from bridge.relay.progress import JobProgress
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.revoking import revoke_all, revoke_lost
from bridge.relay.sender import sender_of
from bridge.relay.signer import Signer
from bridge.relay.sources.source import Source
from bridge.relay.telling import Teller
from bridge.relay.turns import Turns, all_over

log = structlog.get_logger()

PREFETCH: Final = 100
RESULT_WORKERS: Final = 16
RESULTS_AT_ONCE: Final = 64  # on their way to the cluster, of all messages
EVENT_WORKERS: Final = 4
CLUSTER_RETRY_S: Final = 2.0
SENT_ALONE_S: Final = 60.0  # what was sent to an agent alone so long ago, and was not taken, goes out again

Handle = Callable[[WorkerName, list[Message]], Awaitable[bool]]
Tell = Callable[[WorkerName, Sequence[Message]], Awaitable[None]]
# Worker, headers, the exact bytes, what they are. Raises `BadSignature` for what its device did not sign.
RequireSigned = Callable[[WorkerName, Mapping[str, object], bytes, str], Awaitable[None]]


class Supply(Protocol):
    """Sends agents what jobs import, after everything else."""

    def heed(self, worker: WorkerName, want: Want) -> None:
        """Never waits. What it has no room for is asked for again."""
        ...

    async def run(self, tell: Tell) -> None:
        """One life of the broker session. Raises `BrokerDown`."""
        ...


class Collector:
    """One life of the broker session. An acknowledgement always stands below the commit it depends on."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        broker: Broker,
        lost: Lost,
        recorder: Recorder,
        quarantine: Quarantine,
        clock: Clock,
        require_signed: RequireSigned,
        signer: Signer,
        supply: Supply | None = None,
    ) -> None:
        self._supply = supply
        self._require_signed = require_signed
        self._teller = Teller(broker, signer)
        self._source = source
        self._ledger = ledger
        self._broker = broker
        self._lost = lost
        self._recorder = recorder
        self._quarantine = quarantine
        self._clock = clock
        self._assembly = Assembly(ledger)
        self._progress = JobProgress(source, ledger)
        self._at_once = asyncio.Semaphore(RESULTS_AT_ONCE)
        self._events_in_hand = Turns()
        self._results_in_hand = Turns()

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for queue_name, workers, handle in (
                (RESULTS, RESULT_WORKERS, self._results),
                (EVENTS, EVENT_WORKERS, self._events),
                (PINGS, 1, self._events),
                (LOGS, 1, self._logs),  # one at a time: log text stays in order (I5)
            ):
                arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue(PREFETCH)
                for number in range(workers):
                    group.create_task(self._work(arrived, handle), name=f"{queue_name} {number}")
                await self._broker.consume(queue_name, PREFETCH, arrived.put)

    async def _work(self, arrived: asyncio.Queue[AbstractIncomingMessage], handle: Handle) -> None:
        while True:
            message = await arrived.get()
            try:
                done = await self._take(message, handle)
            except WireError as error:
                await self._refuse(message, f"{type(error).__name__}: {error}")
                done = True
            with broker_errors():
                await (message.ack() if done else message.nack(requeue=True))

    async def _take(self, message: AbstractIncomingMessage, handle: Handle) -> bool:
        """False: it has to come again. Raises `WireError`."""
        sender = sender_of(message)
        if sender is None:
            await self._refuse(message, "the broker does not vouch for its sender")
            return True
        body = unseal(message.body, message.content_encoding, decompress)
        await self._require_signed(sender.worker, message.headers, body, "message")
        messages = unpack(body)
        if await self._quarantine.is_revoked(sender.token_id):
            return await self._distrusted(sender.worker, messages)
        return await handle(sender.worker, messages)

    async def _refuse(self, message: AbstractIncomingMessage, reason: str) -> None:
        about = {"worker": message.user_id or "", "routing_key": message.routing_key or ""}
        log.warning("message.refused", reason=reason, **about)
        await self._broker.publish_dead(message.body, reason, about | {"kind": LetterKind.MESSAGE})

    async def _distrusted(self, worker: WorkerName, messages: list[Message]) -> bool:
        """The token of its sender was revoked. Nobody is told anything: it may be anybody."""
        for message in messages:
            match message:
                case Blob():
                    await self._assembly.add(message)
                case Result():
                    await self._quarantine.keep(worker, message, self._assembly)
                case Accepted():  # the job has left its queue: from whoever has it now, it has to be taken
                    await self._ledger.accept((message.job_id, message.attempt), worker)
                    await self._until_taken(
                        lambda: self._lost.take_from(worker, "its token was revoked", is_trusted=False)
                    )
                case _:
                    log.warning("message.distrusted", worker=worker, kind=message.KIND)
        return True

    async def _results(self, worker: WorkerName, messages: list[Message]) -> bool:
        """What asks is answered when all that came before it has been dealt with, receipts too."""
        with self._results_in_hand.turn() as earlier:
            done = await self._take_results(worker, messages)
            for ping in messages:
                if isinstance(ping, Ping) and ping.ping_id:
                    await all_over(earlier)
                    answer = Settings(wall_s=self._clock.wall_s(), hello_id=ping.ping_id)
                    await self._teller.tell(worker, [answer])
        return done

    async def _take_results(self, worker: WorkerName, messages: list[Message]) -> bool:
        """All of one message are taken at once, so that their commits share an fsync."""
        for part in messages:
            if isinstance(part, Blob):
                await self._assembly.add(part)
        results = [message for message in messages if isinstance(message, Result)]
        receipts: list[Message] = []
        try:
            async with asyncio.TaskGroup() as group:
                for result in results:
                    group.create_task(self._result_in_turn(worker, result, receipts), name="result")
        except* BrokerDown as errors:
            raise BrokerDown(str(errors.exceptions[0])) from errors
        if receipts:
            await self._teller.tell(worker, receipts)
        return len(receipts) == len(results)

    async def _result_in_turn(self, worker: WorkerName, result: Result, receipts: list[Message]) -> None:
        async with self._at_once:
            if await self._result(worker, result):
                receipts.append(Receipt(job_id=result.job_id, attempt=result.attempt))

    async def _result(self, worker: WorkerName, result: Result) -> bool:
        """Bring one result home. False: its parts have not come yet, so it must come again."""
        key = (result.job_id, result.attempt)
        custody = await self._ledger.find(key)
        if custody is None:
            await self._bury(worker, result, "a result of a job that is not in the ledger", LetterKind.RESULT)
            return True
        if not await self._is_its_own(worker, result, custody):
            await self._bury(worker, result, "a result of a job that is not this agent's", LetterKind.RESULT)
            return True
        if await self._is_distrusted(worker, result, custody):
            await self._quarantine.keep(worker, result, self._assembly)
            return True
        if not custody.is_open:
            await self._late(worker, result)
            return True
        try:
            document = await self._assembly.document_of(result)
        except TimeoutError:
            log.warning("result.parts_missing", job_id=result.job_id, sha256=result.blob_sha256)
            return False
        await self._until_taken(lambda: self._record(worker, result, document))
        return True

    async def _is_its_own(self, worker: WorkerName, result: Result, custody: Custody) -> bool:
        """I4: the attempt is or was in its custody; or it holds the tag, and its acceptance is to come."""
        if custody.custodian == worker:
            return True
        return await self._ledger.concerns((result.job_id, result.attempt), worker)

    async def _is_distrusted(self, worker: WorkerName, result: Result, custody: Custody) -> bool:
        if custody.attempt == result.attempt and custody.custodian == worker:
            return bool(custody.distrusted)
        return await self._ledger.is_distrusted((result.job_id, result.attempt), worker)

    async def _record(self, worker: WorkerName, result: Result, document: bytes) -> None:
        custody = await self._recorder.record(result, document)
        if custody is None:
            await self._late(worker, result)
            return
        log.info("job.recorded", job_id=result.job_id, attempt=result.attempt, worker=worker)
        if result.refused:
            await self._bury(worker, result, result.refused, LetterKind.UNRUN)
        if custody.attempt > 1:  # whoever holds another attempt of it may let go
            await revoke_all(self._ledger, self._teller)

    async def _bury(self, worker: WorkerName, result: Result, reason: str, kind: LetterKind) -> None:
        """Into the dead letters."""
        about = {
            "kind": kind, "worker": worker, "job_id": result.job_id, "attempt": str(result.attempt),
        }  # fmt: skip
        await self._broker.publish_dead(pack([result]), reason, about)

    async def _late(self, worker: WorkerName, result: Result) -> None:
        RESULTS_LATE.inc()
        log.info("result.late", job_id=result.job_id, attempt=result.attempt, worker=worker)
        await self._ledger.late((result.job_id, result.attempt))

    async def _until_taken(self, offer: Callable[[], Awaitable[None]]) -> None:
        """For as long as it takes: the broker keeps the message until the cluster has what is in it."""
        while True:
            try:
                await offer()
            except ClusterDown as error:
                log.warning("cluster.down", reason=str(error))
                await asyncio.sleep(CLUSTER_RETRY_S)
            else:
                return

    async def _events(self, worker: WorkerName, messages: list[Message]) -> bool:
        with self._events_in_hand.turn() as earlier:
            if any(isinstance(message, Hello) for message in messages):
                await all_over(earlier)  # what was accepted before a restart must be known to the check
            taken = True
            try:
                await apart(self._take_events(worker, messages))
            except* ClusterDown as group:  # they come again; what was done of them may be done twice
                log.warning("cluster.down", reason=str(group.exceptions[0]))
                await asyncio.sleep(CLUSTER_RETRY_S)
                taken = False
        return taken

    async def _take_events(self, worker: WorkerName, messages: list[Message]) -> None:
        answers: list[Message] = []
        async with asyncio.TaskGroup() as group:  # their commits share an fsync
            for message in messages:
                group.create_task(self._event(worker, message, answers), name="event")
        if answers:
            await self._teller.tell(worker, answers)

    async def _event(self, worker: WorkerName, message: Message, answers: list[Message]) -> None:
        match message:
            case Accepted():
                answer = await self._accepted(worker, message)
                if answer is not None:
                    answers.append(answer)
            case Started():
                await self._ledger.started((message.job_id, message.attempt), message.started_at)
            case Hello():
                self._ledger.presence.note(worker, message)
                await self._came(worker, message)
                if message.hello_id:
                    answer = Settings(wall_s=self._clock.wall_s(), hello_id=message.hello_id)
                    await self._teller.tell(worker, [answer])
                await revoke_lost(self._ledger, self._teller, worker)
                if message.restarted:
                    await check_held(self._ledger, self._teller, worker)
            case Ping() | Want():
                await self._heed(worker, message)
            case Bye():
                await self._ledger.heard(worker, held=message.held, left=True)
            case Rejected():
                await self._rejected(worker, message)
            case _:
                log.warning("event.unexpected", worker=worker, kind=message.KIND)

    async def _heed(self, worker: WorkerName, message: Ping | Want) -> None:
        """What comes again by itself."""
        if isinstance(message, Ping):
            self._ledger.presence.note(worker, message)
            await self._progress.note(worker, message.progress)
        elif self._supply is not None:
            self._supply.heed(worker, message)

    async def _came(self, worker: WorkerName, hello: Hello) -> None:
        if hello.languages:
            await self._ledger.note_languages(worker, hello.languages)
            before = self._clock.wall_s() - SENT_ALONE_S
            await self._ledger.held_back.direct_again(worker, before)
        self._ledger.agent_came()  # it may have enrolled with another bridge

    async def _accepted(self, worker: WorkerName, message: Accepted) -> Message | None:
        """Compare and set: the first acceptor of an attempt is its custodian (I1, I2)."""
        key = (message.job_id, message.attempt)
        delivery = await self._ledger.accept(key, worker)
        if delivery is None:
            custody = await self._ledger.find(key)
            over = custody is not None and not custody.is_open
            return Revoke(job_id=message.job_id, attempt=message.attempt, over=over)
        log.info("job.accepted", job_id=message.job_id, attempt=message.attempt, worker=worker)
        if delivery is Delivery.AT_MOST_ONCE:
            return Grant(job_id=message.job_id, attempt=message.attempt, grant_id=message.grant_id)
        return None

    async def _rejected(self, worker: WorkerName, message: Rejected) -> None:
        log.warning("job.rejected", worker=worker, reason=message.reason, job_id=message.job_id)
        if message.language:
            await self._send_elsewhere(worker, message)
            return
        if message.job_id:
            await self._let_go(worker, message)
        elif message.claimed_job_id:  # nothing proves which job it was
            await self._refused(worker, message)
        about = {
            "kind": LetterKind.JOB,
            "worker": worker,
            "job_id": message.job_id or message.claimed_job_id,
            "attempt": str(message.attempt or message.claimed_attempt),
        }
        await self._broker.publish_dead(message.body, message.reason, about)

    async def _send_elsewhere(self, worker: WorkerName, message: Rejected) -> None:
        """Nothing is wrong with it: an agent of its tag that runs its language gets the same attempt."""
        key = (JobId(message.job_id), Attempt(message.attempt))
        if await self._ledger.concerns(key, worker):
            await self._ledger.cannot_run(worker, message.language)
            await self._ledger.held_back.hold(key, message.language, refused_by=worker)

    async def _let_go(self, worker: WorkerName, message: Rejected) -> None:
        custody = await self._ledger.find((JobId(message.job_id), Attempt(message.attempt)))
        if custody and custody.is_open and custody.attempt == message.attempt:
            if custody.custodian not in (None, worker):
                return  # another agent holds it
            if not await self._ledger.concerns((custody.job_id, custody.attempt), worker):
                return  # it could never have had it
            await self._lost.given_up(custody, f"{worker}: {message.reason}")

    async def _refused(self, worker: WorkerName, message: Rejected) -> None:
        custody = await self._ledger.find((JobId(message.claimed_job_id), Attempt(message.claimed_attempt)))
        if custody is None or not custody.is_open or custody.custodian is not None:
            return
        if not await self._ledger.concerns((custody.job_id, custody.attempt), worker):
            return
        if custody.attempt == message.claimed_attempt:
            await self._lost.refused(custody, message.sha256, f"{worker}: {message.reason}")

    async def _logs(self, worker: WorkerName, messages: list[Message]) -> bool:
        for message in messages:
            if isinstance(message, Log):
                await self._log(worker, message)
        return True

    async def _log(self, worker: WorkerName, message: Log) -> None:
        """Append what is new; repeated text is cut off, a gap is marked (I5).

        Of two runs of a job either may be the one that counts in the end, so both are heard until then.
        """
        key = (message.job_id, message.attempt)
        custody = await self._ledger.attempt(key)
        if custody is None:
            return
        if custody.custodian != worker and not await self._ledger.concerns(key, worker):
            return
        before, after = await self._ledger.log_chars(key, worker), message.offset + len(message.text)
        if after <= before:
            return
        start = max(before, message.offset)
        text = message.text[start - message.offset :]
        writer = f"{worker}/{message.attempt}"
        await self._until_taken(
            lambda: self._source.push_log(custody, writer, start, text, missing=start - before)
        )
        await self._ledger.log_moved(key, worker, after)
