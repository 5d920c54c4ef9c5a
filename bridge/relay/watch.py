"""What the clock drives: custody pings to the cluster, and cancels on to the custodians."""

import asyncio
import math
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from agent.clock import Clock
from agent.wire.claims import WorkerName
from agent.wire.messages import Cancel, canceled_error
from bridge.broker.channel import Broker
from bridge.errors import BrokerDown, ClusterDown
from bridge.relay.checking import check_held
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.lost import Lost
from bridge.relay.recorder import Recorder
from bridge.relay.revoking import revoke_all
from bridge.relay.signer import Signer
from bridge.relay.sources.source import PingReply, Source
from bridge.relay.telling import Teller

log = structlog.get_logger()

TELL_S: Final = 10.0  # a broker that is blocked in this very moment must not keep the pings waiting
AT_ONCE: Final = 16  # pings in flight: thousands of jobs make no storm
LOOKS: Final = 20  # in one round of pings, at who is in custody by now
PINGS_PER_S: Final = 200  # beyond it they come more rarely
PRUNE_EVERY_S: Final = 3600.0
CHECK_EVERY_S: Final = 3600.0
THERE_S: Final = 60.0  # an agent that was heard of so lately is there


class Watch:
    """Lives as long as the bridge: pings go on while the broker is away."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        broker_now: Callable[[], Broker | None],
        clock: Clock,
        lost: Lost,
        recorder: Recorder,
        signer: Signer,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._broker_now = broker_now
        self._clock = clock
        self._lost = lost
        self._recorder = recorder
        self._signer = signer

    async def run(self) -> None:
        """For ever. Looking for the lost may wait for the broker, so it never stands before a ping."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._ping_for_ever(), name="custody pings")
            group.create_task(self._look_for_ever(), name="the lost")

    async def _ping_for_ever(self) -> None:
        """For every job in custody, spread over the interval; stops exactly when custody ends.

        Each of thousands is asked about half as often, which is still three times in the cluster's 60 s. As
        many go in one call as the cluster takes.
        """
        bound, every_s, together = (
            asyncio.Semaphore(AT_ONCE),
            self._source.ping_every_s,
            self._source.pings_at_once,
        )
        while True:
            began_s, due = self._clock.monotonic_s(), await self._ledger.in_custody()
            calls = [due[start : start + together] for start in range(0, len(due), together)]
            takes_s = min(max(every_s, len(calls) / PINGS_PER_S), 2 * every_s)
            async with asyncio.TaskGroup() as group:
                for place, call in enumerate(calls):
                    await self._until(began_s + takes_s * place / len(calls))
                    if place and place % math.ceil(len(calls) / LOOKS) == 0:
                        held = {custody.job_id: custody for custody in await self._ledger.in_custody()}
                    elif not place:
                        held = {custody.job_id: custody for custody in due}
                    if still := [held[one.job_id] for one in call if one.job_id in held]:
                        group.create_task(self._ping(still, bound), name="custody ping")
            await self._until(began_s + takes_s)

    async def _until(self, at_s: float) -> None:
        await asyncio.sleep(max(0.0, at_s - self._clock.monotonic_s()))

    async def _look_for_ever(self) -> None:
        pruned_s, checked_s = -math.inf, self._clock.monotonic_s()
        while True:
            if self._clock.monotonic_s() - pruned_s > PRUNE_EVERY_S:
                await self._ledger.prune()
                pruned_s = self._clock.monotonic_s()
            if self._clock.monotonic_s() - checked_s > CHECK_EVERY_S:
                await self._check_custodians()
                checked_s = self._clock.monotonic_s()
            await self._take_from_the_lost()
            await asyncio.sleep(self._source.ping_every_s)

    async def _take_from_the_lost(self) -> None:
        broker = self._broker_now()
        try:
            heard = broker is not None and await _answers(broker)
            await self._lost.look(broker if heard else None)
            if broker is not None and heard and self._recorder.tails.are_due:
                await self._recorder.tails.look(await self._there(), log_waits=await broker.log_waits())
            if broker is not None:
                async with asyncio.timeout(TELL_S):
                    await revoke_all(self._ledger, Teller(broker, self._signer))
        except (ClusterDown, BrokerDown, TimeoutError) as error:
            log.warning("custody.lost_not_taken", reason=str(error))

    async def _check_custodians(self) -> None:
        """Ask whoever is there for what it has held for long: the broker may have lost its word, or ours."""
        broker = self._broker_now()
        if broker is None:
            return
        before = self._clock.wall_s() - CHECK_EVERY_S
        there = await self._there()
        try:
            for worker in there:
                async with asyncio.timeout(TELL_S):
                    await check_held(self._ledger, Teller(broker, self._signer), worker, before)
                await self._ledger.tell_cancels_again(worker, before)
        except (BrokerDown, TimeoutError) as error:
            log.warning("custodians.not_checked", reason=str(error))

    async def _there(self) -> list[WorkerName]:
        """Agents whose link is up."""
        now_s = self._clock.wall_s()
        return [one["worker"] for one in await self._ledger.agents() if now_s - one["last_heard"] < THERE_S]

    async def _ping(self, custodies: Sequence[Custody], bound: asyncio.Semaphore) -> None:
        async with bound:
            try:
                for custody, reply in zip(custodies, await self._source.ping_all(custodies), strict=True):
                    await self._act(custody, reply)
            except (ClusterDown, BrokerDown, TimeoutError) as error:
                about = {"job_id": custodies[0].job_id, "jobs": len(custodies)}
                log.warning("custody.ping_failed", **about, reason=str(error))

    async def _act(self, custody: Custody, reply: PingReply) -> None:
        key = (custody.job_id, custody.attempt)
        if reply.already_completed:  # somebody ended it at the cluster; whoever holds it may stop
            await self._tell(custody, "cluster", "the job was completed elsewhere")
            await self._ledger.close_elsewhere(key)
        elif reply.canceled_by and custody.custodian is None:
            await self._end_unaccepted(custody, reply)
        elif reply.canceled_by and custody.cancel_sent is None:
            await self._tell(custody, reply.canceled_by, reply.canceled_reason or "")
            await self._ledger.cancel_sent(key, reply.canceled_by)

    async def _end_unaccepted(self, custody: Custody, reply: PingReply) -> None:
        """Nobody holds it yet: closed here, and whoever accepts it later is sent a revoke (I7).

        Accepted since we looked: the next ping tells its custodian.
        """
        by, reason = reply.canceled_by or "", reply.canceled_reason or ""
        if not await self._ledger.refuse((custody.job_id, custody.attempt), by):
            return
        await self._recorder.end_unrun(
            custody, canceled_error(by, reason), canceled_by=by, canceled_reason=reason
        )

    async def _tell(self, custody: Custody, by: str, reason: str) -> None:
        """Raises `BrokerDown` when there is no session now; the next ping comes by here again."""
        if custody.custodian is None:
            return
        broker = self._broker_now()
        if broker is None:
            raise BrokerDown("no session with RabbitMQ now")
        cancel = Cancel(job_id=custody.job_id, attempt=custody.attempt, by=by, reason=reason)
        async with asyncio.timeout(TELL_S):
            await Teller(broker, self._signer).tell(custody.custodian, [cancel])


async def _answers(broker: Broker) -> bool:
    """A link of ours that died without a word looks like silent agents: the broker has to answer now.

    What it had handed out before its answer has come before it, so whoever is not heard now was silent.
    """
    try:
        async with asyncio.timeout(TELL_S):
            await broker.answers()
    except (BrokerDown, TimeoutError) as error:
        log.warning("broker.silent", reason=str(error) or f"no answer within {TELL_S:.0f} s")
        return False
    return True
