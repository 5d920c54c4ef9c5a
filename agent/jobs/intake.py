"""Hop 3: a delivery becomes custody: spooled, fsynced, acknowledged, in milliseconds."""

import asyncio
import contextlib
import hashlib
from collections.abc import Callable, Mapping
from dataclasses import replace
from reprlib import repr as shown
from typing import Final

import structlog

from agent.compression import decompress
from agent.errors import LanguageNotRun, NotAllowed, Refused, Replayed, TagNotHeld
from agent.jobs.book import Book
from agent.jobs.chooser import wanted_tags
from agent.jobs.model import Event, OutOfOrder, State
from agent.jobs.refusals import report
from agent.link.link import Delivery, Link
from agent.spool.rows import Taken
from agent.spool.spool import Spool
from agent.trust import Keyring
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import INTRODUCED, claimed_job, job_in, open_job, pack, unseal
from agent.wire.errors import WireError
from agent.wire.messages import Job, Rejected

log = structlog.get_logger()

PREFETCH: Final = 20  # deliveries on their way at once, per tag: what custody may overshoot its mark by
HOLDERS: Final = 8  # deliveries spooled at once, so that they share an fsync
JOB_ID_MAX: Final = 100  # characters of a claimed id; ours have 36
ROOM_CHECK_S: Final = 5.0  # nobody tells us when a disk gets free


class Intake:
    """One life of the link: opens and closes the consumers, and takes what comes."""

    def __init__(
        self,
        book: Book,
        spool: Spool,
        link: Link,
        keys: Keyring,
        limits: Mapping[Tag, int],
        reject: Callable[[Rejected], None],
        why_not: Callable[[Job], str],
        may_take: Callable[[], bool] = lambda: True,
        *,
        languages: frozenset[str] | None = None,
    ) -> None:
        """`limits`: per tag, how many unstarted jobs to hold. `reject` hands a report to the reporter.
        `why_not`: why the site's policy does not allow a job; empty when it does. `may_take`: whether the
        bridge wishes that new jobs are taken; a change of it is a change of the book. `languages`: a job of
        another goes back to a bridge that has them run elsewhere; None: to no such bridge.
        """
        self._book = book
        self._spool = spool
        self._link = link
        self._keys = keys
        self._limits = limits
        self._reject = reject
        self._why_not = why_not
        self._may_take = may_take
        self._languages = languages

    async def run(self) -> None:
        await self._give_back()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._steer(), name="intake consumers")
            for number in range(HOLDERS):
                group.create_task(self._take_all(), name=f"intake {number}")

    async def take(self, delivery: Delivery) -> None:
        body = b""
        try:
            body = unseal(delivery.body, delivery.content_encoding, decompress)
            await self._hold(self._proved(delivery, body), body)
        except LanguageNotRun as error:
            await self._send_back(error)
        except (WireError, Refused) as error:
            log.warning("job.refused", reason=f"{type(error).__name__}: {error.args[0]}")
            self._reject(_report(delivery, body, error))
        await delivery.ack()  # I3: milliseconds after arrival, never after the run

    async def take_sent(self, job: Job, delivery: Delivery) -> None:
        """One that the bridge has sent to this agent alone, and proved, because others do not run it.

        The caller acknowledges it. Raises `LinkDown`.
        """
        body = pack([job])
        try:
            await self._hold(job, body)
        except LanguageNotRun as error:
            await self._send_back(error)
        except Refused as error:
            log.warning("job.refused", reason=f"{type(error).__name__}: {error.args[0]}")
            self._reject(_report(delivery, body, error))

    async def _send_back(self, error: LanguageNotRun) -> None:
        """No dead letter: nothing is wrong with it, and the bridge has its bytes.

        It leaves before the acknowledgement, so that a death in between costs nothing but a second look (I3).
        """
        reason, job = f"{type(error).__name__}: {error.args[0]}", error.args[1]
        log.info("job.sent_back", job_id=job.job_id, attempt=job.attempt, reason=reason)
        report = Rejected(reason=reason, job_id=job.job_id, attempt=job.attempt, language=job.language)
        await self._link.publish("event", [report])

    async def _hold(self, job: Job, body: bytes) -> None:
        taken = await self._book.hold(self._admit(job), body)  # I4; returns after the fsync
        if taken is Taken.OVER:
            raise Replayed(f"attempt {job.attempt} of job {job.job_id} was here before, and is over")

    def _proved(self, delivery: Delivery, body: bytes) -> Job:
        """Raises `WireError`. The link over HTTP has proved what it hands over (I4)."""
        if self._link.vouches:
            return job_in(body)
        self._keys.heed(delivery.headers.get("kid"), delivery.headers.get(INTRODUCED))
        return open_job(body, delivery.headers, self._keys.verify)

    async def _give_back(self) -> None:
        """Unstarted jobs of tags that a new token does not hold any more (I4): others may run them.

        While a link over HTTP is left, there are no limits at all, and what is held is brought home.
        """
        if not self._limits:
            return
        for job in [one for one in self._book.unfinished.all_unstarted() if one.tag not in self._limits]:
            reason = f"TagNotHeld: the new token of this agent does not hold the tag {shown(job.tag)}"
            with contextlib.suppress(OutOfOrder):  # it ended in the same moment
                after = await self._book.apply(job.key, Event.REVOKED)
                if after.state is State.DROPPED:
                    await self._book.forget([job.key], keep_log=False)
                    log.warning("job.given_back", job_id=job.job_id, attempt=job.attempt, reason=reason)
                    self._reject(Rejected(reason=reason, job_id=job.job_id, attempt=job.attempt))

    def _admit(self, job: Job) -> Job:
        if job.tag not in self._limits:  # I4: the limits' keys are the token's tags
            raise TagNotHeld(f"the token of this agent does not hold the tag {shown(job.tag)}", job)
        if not self._link.vouches and (why_not := self._why_not(job)):
            raise NotAllowed(why_not, job)  # else it was pulled, so it is ours to end: the runner does
        if self._languages is not None and not self._link.vouches and job.language not in self._languages:
            raise LanguageNotRun(f"this agent does not run {shown(job.language)}", job)
        return job

    async def _take_all(self) -> None:
        while True:
            await self.take(await self._link.next_job())

    async def _steer(self) -> None:
        """Consume while custody has room, and not while it has none (I6)."""
        open_now: frozenset[Tag] = frozenset()
        while True:
            version = self._book.changes.version
            has_room = self._spool.has_room()
            unstarted, may_take = self._book.unfinished.unstarted(), has_room and self._may_take()
            wanted = wanted_tags(unstarted, self._limits, open_now, has_room=may_take)
            for tag in sorted(open_now - wanted):
                await self._link.close_tag(tag)
                log.info("consumer.closed", tag=tag, has_room=has_room)
            for tag in sorted(wanted - open_now):
                await self._link.open_tag(tag, min(PREFETCH, self._limits[tag]))
                log.info("consumer.opened", tag=tag)
            open_now = wanted
            try:
                async with asyncio.timeout(None if has_room else ROOM_CHECK_S):
                    await self._book.changes.newer_than(version)
            except TimeoutError:
                continue


def _report(delivery: Delivery, signed: bytes, error: Exception) -> Rejected:
    """What the bridge writes to the dead letters. Only a job whose signature held is named.

    Of another we say what it claims to be, for the bridge to check: its own job may have come damaged (I1).
    Of one that is over we say neither: its custody is as it was.
    """
    claimed = None if isinstance(error, Replayed) else claimed_job(signed)
    if claimed is not None and len(claimed.job_id) > JOB_ID_MAX:
        claimed = None
    job = error.args[1] if isinstance(error, TagNotHeld | NotAllowed) else None
    return replace(
        report(delivery, f"{type(error).__name__}: {error.args[0]}"),
        job_id=job.job_id if job else JobId(""),
        attempt=job.attempt if job else Attempt(0),
        sha256=hashlib.sha256(signed).hexdigest(),
        claimed_job_id=claimed.job_id if claimed else JobId(""),
        claimed_attempt=claimed.attempt if claimed else Attempt(0),
    )
