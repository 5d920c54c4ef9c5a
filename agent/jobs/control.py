"""What the bridge tells this agent: grant, revoke, cancel, check, receipt, settings; a job for it alone."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeAlias

import structlog

from agent.errors import LinkDown
from agent.jobs.book import Book
from agent.jobs.inquiry import Inquiry
from agent.jobs.model import Event, Key, OutOfOrder, State
from agent.jobs.refusals import report
from agent.jobs.runner import Runner
from agent.jobs.told import Told, claimed_kinds
from agent.jobs.wishes import Wishes
from agent.link.link import Delivery, Link
from agent.spool.spool import Spool
from agent.wire.errors import BadSignature, WireError
from agent.wire.messages import (
    OVER,
    Bundle,
    Cancel,
    Check,
    Grant,
    Job,
    Message,
    Needed,
    Part,
    Receipt,
    Rejected,
    Renew,
    Revoke,
    Settings,
)

log = structlog.get_logger()

NOT_HELD: Final = "NotHeld: the agent has restarted and its spool does not hold this attempt any more"
READERS: Final = 4  # taken at once, so that their commits share an fsync

Supply: TypeAlias = Bundle | Part | Needed
HeedSupply = Callable[[Supply], Awaitable[None]]
TakeSent = Callable[[Job, Delivery], Awaitable[None]]
RejectOnce = Callable[[frozenset[str], Rejected], None]  # the kinds of message that a report is about


async def ignore(_supply: Supply) -> None:
    """Of an agent that fetches no bundles."""


class Control:
    def __init__(
        self,
        book: Book,
        spool: Spool,
        runner: Runner,
        link: Link,
        inquiry: Inquiry,
        told: Told,
        reject_once: RejectOnce,
        wishes: Wishes,
        take_sent: TakeSent,
        heed_supply: HeedSupply = ignore,
    ) -> None:
        """`heed_supply`: takes what comes of bundles."""
        self._heed_supply = heed_supply
        self._book = book
        self._spool = spool
        self._runner = runner
        self._link = link
        self._inquiry = inquiry
        self._told = told
        self._reject_once = reject_once
        self._wishes = wishes
        self._take_sent = take_sent

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            for number in range(READERS):
                group.create_task(self._obey_all(), name=f"control {number}")

    async def _obey_all(self) -> None:
        while True:
            await self.obey(await self._link.next_control())

    async def obey(self, delivery: Delivery) -> None:
        """Do what it says, durably, then acknowledge. Raises `LinkDown` when it says to enrol again."""
        try:
            messages = self._told.read(delivery)
        except WireError as error:
            self._refuse(delivery, error)
            messages = []
        receipts = [(one.job_id, one.attempt) for one in messages if isinstance(one, Receipt)]
        if recorded := [key for key in receipts if not self._is_started(key)]:
            await self._book.forget(recorded)  # what is over is known on disk only
        for message in sorted(messages, key=self._frees_a_slot):
            await self._one(message)
        for job in (one for one in messages if isinstance(one, Job)):
            await self._take_job(job, delivery)
        await self._disown([one for one in messages if isinstance(one, Check)])
        await delivery.ack()
        if any(isinstance(one, Renew) for one in messages):
            raise LinkDown("the bridge asks this agent to enrol again")

    async def _take_job(self, job: Job, delivery: Delivery) -> None:
        """I4: code that no bridge has signed is not run, whichever way it comes."""
        if self._told.is_signed:
            await self._take_sent(job, delivery)
        else:
            self._refuse(delivery, BadSignature("a job came by the control queue and is not signed"))

    def _refuse(self, delivery: Delivery, error: WireError) -> None:
        """A flood of forgeries is a line each in our log; the dead letters get the first of each kind."""
        kinds = claimed_kinds(delivery)
        reason = f"{type(error).__name__}: {error}; it calls itself {' and '.join(sorted(kinds))}"
        log.warning("control.refused", reason=reason)
        self._reject_once(kinds, report(delivery, reason))

    async def _disown(self, checks: Sequence[Check]) -> None:
        """What a damaged spool has lost goes back to the bridge, which sends it again or ends it (I1)."""
        missing = await self._book.missing((check.job_id, check.attempt) for check in checks)
        if missing:
            missing -= await self._spool.quarantined(missing)  # the reporter sends these, with what is wrong
        if missing:
            log.error("custody.missing", jobs=len(missing))
            rejected = [Rejected(reason=NOT_HELD, job_id=key[0], attempt=key[1]) for key in sorted(missing)]
            await self._link.publish("event", rejected)

    def _frees_a_slot(self, message: Message) -> bool:
        """What stops a running job comes last: its slot must not go to one that is revoked beside it."""
        return isinstance(message, Cancel | Revoke) and self._is_started((message.job_id, message.attempt))

    def _is_started(self, key: Key) -> bool:
        job = self._book.get(key)
        return job is not None and job.state is State.STARTED

    async def _one(self, message: Message) -> None:
        if isinstance(message, Cancel):
            await self._runner.cancel((message.job_id, message.attempt), message.by, message.reason)
            return
        if isinstance(message, Settings):
            await self._settings(message)
        if isinstance(message, Supply):
            await self._heed_supply(message)
        if isinstance(message, Grant | Revoke) and self._book.get((message.job_id, message.attempt)):
            await (self._grant(message) if isinstance(message, Grant) else self._revoke(message))

    async def _settings(self, message: Settings) -> None:
        if self._book.bridge_time.is_asked_for(message):
            await self._book.learn_bridge_answer(message.wall_s)
            log.info("clock.learnt", clock_offset_ms=self._book.bridge_time.clock_offset_ms())
        await self._inquiry.heed(message)
        await self._wishes.heed(message)

    async def _grant(self, message: Grant) -> None:
        """Only one that was asked for since this agent started: else a spool that was lost, and made anew

        under a broker that says all again, would start a job a second time (I2). After each start what
        waits for its grant asks at once. A bridge that signs nothing it tells names no acceptance either.
        """
        if self._told.is_signed and message.grant_id != self._book.grant_id:
            log.info("grant.of_old", job_id=message.job_id, attempt=message.attempt)
            return
        await self._book.apply((message.job_id, message.attempt), Event.GRANTED)

    async def _revoke(self, message: Revoke) -> None:
        """What has not started is dropped. What runs goes on while its result may be the first."""
        key = (message.job_id, message.attempt)
        with contextlib.suppress(OutOfOrder):  # it ended in the same moment
            after = await self._book.apply(key, Event.REVOKED)
            if after.state is State.DROPPED:
                await self._book.forget([key], keep_log=False)
            elif after.state is State.STARTED and message.over:
                await self._runner.cancel(key, *OVER)
