"""The supervisor: one life of the link after another, for ever; the jobs run on regardless."""

import asyncio
import socket
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

import structlog
from tenacity import RetryCallState

from agent import release
from agent.cancelling import apart
from agent.clock import Clock
from agent.database import WriteFailed
from agent.errors import (
    AdmissionWaits,
    DeviceRefused,
    KeysUnknown,
    LinkDown,
    NoEnrolment,
    Revoked,
    TokenRefused,
)
from agent.figures import FIGURES
from agent.jobs.book import Book
from agent.link.enrol import from_json, to_json
from agent.link.link import Enrolment, Link, LinkKind
from agent.link.retry import reconnect
from agent.spool.spool import Spool
from agent.wire.claims import Tag, WorkerName
from agent.wire.messages import Bye, Hello

log = structlog.get_logger()

AHEAD_ALONE: Final = 1000  # jobs held ahead for a tag that only this agent serves: work for a long outage
STEADY_S: Final = 5.0  # a life of the link that lasted this long was no flicker
EVENTS: Final = {
    TokenRefused: "token.refused",
    DeviceRefused: "device.refused",
    KeysUnknown: "keys.unknown",
    AdmissionWaits: "link.admission_waits",
}

Connect = Callable[[Enrolment], AbstractAsyncContextManager[Link]]
Enrol = Callable[[str, dict[str, Any]], Awaitable[Enrolment]]
OneLife = Callable[[Link, Enrolment], Coroutine[Any, Any, None]]
Offer = Callable[[Enrolment], Awaitable[None]]
IsRevoked = Callable[[str, Enrolment], bool]
Sleep = Callable[[float], Awaitable[bool | None]]  # True: it ended early, because a network interface came up


async def offer_nothing(_enrolment: Enrolment) -> None:
    """Results wait in the spool alone."""


class Life:
    """Knows whether the link is up. Everything it must remember is in the spool's meta table."""

    def __init__(
        self,
        spool: Spool,
        book: Book,
        clock: Clock,
        *,
        enrol: Enrol,
        connect: Connect,
        slots: int,
        sleep: Sleep = asyncio.sleep,
        is_revoked: IsRevoked = lambda _proof, _enrolment: False,
        offer: Offer = offer_nothing,
        platform: Mapping[str, str] = MappingProxyType({}),
        languages: Sequence[str] = (),
    ) -> None:
        """`platform`: what this site says of its interpreters. `languages`: that can be run here, as the
        bridge is told; none: it is not told.

        `is_revoked`: whether a proof holds by the keys of an enrolment, and is to be heeded.

        `offer`: what becomes of late results while the token is refused. Raises `LinkDown`.
        """
        self._spool = spool
        self._book = book
        self._clock = clock
        self._enrol = enrol
        self._connect = connect
        self._slots = slots
        self._sleep = sleep
        self._is_revoked = is_revoked
        self._offer = offer
        self._platform = dict(platform)
        self._languages = list(languages)
        self._restarted = True
        self._leaving = False  # this life is over HTTP for what is held, and the next is not
        self.link_up = False

    async def cached_enrolment(self) -> Enrolment | None:
        text = await self._spool.get_meta("enrolment")
        return None if text is None else from_json(text)

    async def run(self, one_life: OneLife) -> None:
        """For ever. Only a bug or a cancellation ends it."""
        while True:
            policy = reconnect(self._sleep, self._say_why)
            async for attempt in policy:
                with attempt:
                    await apart(self._noted_life(one_life))

    async def _noted_life(self, one_life: OneLife) -> None:
        """A life that was steady ends here, so that the next loss begins with short gaps again."""
        up_at_s: float | None = None

        async def noted(link: Link, enrolment: Enrolment) -> None:
            nonlocal up_at_s
            up_at_s = self._clock.monotonic_s()
            await one_life(link, enrolment)

        try:
            await self._live_once(noted)
        except LinkDown as error:
            await self._set_link("down", str(error))
            if up_at_s is None or self._clock.monotonic_s() - up_at_s < STEADY_S:
                raise  # what ends every life at once, a full disk for one, must not become a storm

    async def _live_once(self, one_life: OneLife) -> None:
        try:
            enrolment = await self._enrolled()
        except WriteFailed as error:  # the disk does not even give what was learnt last time
            raise LinkDown(str(error)) from error
        async with self._connect(enrolment) as link:
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(self._greet(link, enrolment), name="greeting")
                    group.create_task(self._heed_blocking(link), name="blocking")
                    if self._leaving:
                        group.create_task(self._move_on(), name="moving on")
                    group.create_task(one_life(link, enrolment), name="life of the link")
            except* (LinkDown, WriteFailed) as errors:  # a full disk ends the link, not the jobs
                raise LinkDown(str(first(errors))) from errors
            finally:
                self.link_up = False

    async def _greet(self, link: Link, enrolment: Enrolment) -> None:
        """The first that goes up. While the broker takes nothing, this waits and the jobs do not."""
        await link.publish("event", [self._hello(enrolment)])
        self._restarted = False
        await self._set_link("up", "")
        FIGURES.links += 1

    async def _heed_blocking(self, link: Link) -> None:
        """Say when the broker takes nothing, and when it does again. The link stays; its senders wait."""
        said = ""
        while True:
            if link.blocked == said:
                await link.blocked_changed()
                continue
            said = link.blocked
            why = f"blocked by the broker: {said}" if said else ""
            log.warning("link.blocked" if said else "link.unblocked", reason=why)
            await self._note_link("up", why)

    async def _move_on(self) -> None:
        """End this life over HTTP once what came over it is brought home."""
        while self._book.held:
            await self._book.changes.newer_than(self._book.changes.version)
        raise LinkDown("what was taken over HTTP is brought home; the cluster names RabbitMQ now")

    async def say_bye(self, link: Link) -> None:
        await link.publish("event", [Bye(held=self._book.held)])

    async def _enrolled(self) -> Enrolment:
        """Ask anew; when nobody answers, what was learnt last time serves. A turn that is named is kept."""
        self._leaving = False
        try:
            enrolment = await self._enrol(
                self._spool.folder.identity,
                {
                    "version": release.version(),
                    "slots": self._slots,
                    "wall_s": self._clock.wall_s(),
                    "platform": self._platform,
                    "languages": self._languages,
                },
            )
        except DeviceRefused:
            raise
        except TokenRefused as error:
            await self._heed_revocation(error)
            await self._offer_late_results()
            raise
        except (NoEnrolment, KeysUnknown, AdmissionWaits):
            raise
        except LinkDown as error:
            cached = await self.cached_enrolment()
            if cached is None:
                raise
            log.info("enrolment.from_cache", reason=str(error))
            return cached
        if enrolment.wall_s is not None:
            await self._book.learn_bridge_time(enrolment.wall_s)
        cached = await self.cached_enrolment()
        if cached is not None and cached.link is not LinkKind.AMQP and enrolment.link is LinkKind.AMQP:
            self._leaving = self._book.held > 0
            if self._leaving:  # the relay knows nothing of what was taken over HTTP
                return replace(cached, tags=())
        if enrolment != cached:
            await self._remember("enrolment", to_json(enrolment))
            await self._remember("worker", enrolment.worker)  # for `agent status`, which has no key
        return enrolment

    async def _heed_revocation(self, error: TokenRefused) -> None:
        """Raises `Revoked` when a key that we know proves it: a proxy's or a stranger's 401 wipes nothing."""
        cached = await self.cached_enrolment()
        if error.proof and cached is not None and self._is_revoked(error.proof, cached):
            raise Revoked("the token of this agent was revoked")

    async def _offer_late_results(self) -> None:
        cached = await self.cached_enrolment()
        if cached is None or cached.link is LinkKind.PLAIN:
            return
        try:
            await self._offer(cached)
        except LinkDown as error:
            log.info("results.not_offered", reason=str(error))

    def _hello(self, enrolment: Enrolment) -> Hello:
        return Hello(
            worker=WorkerName(enrolment.worker),
            version=release.version(),
            slots=self._slots,
            held=self._book.held,
            backlog=self._book.backlog,
            wall_s=self._clock.wall_s(),
            tags=list(enrolment.tags),
            hostname=socket.gethostname(),
            restarted=self._restarted,
            hello_id=self._book.bridge_time.ask(),
            clock_offset_ms=self._book.bridge_time.clock_offset_ms(),
            languages=self._languages,
        )

    async def _set_link(self, state: str, why: str) -> None:
        self.link_up = state == "up"
        log.info("link.up" if state == "up" else "link.down", reason=why)
        await self._note_link(state, why)

    async def _note_link(self, state: str, why: str) -> None:
        await self._remember("link", f"{state}\n{self._clock.wall_s()}\n{why}")

    async def _remember(self, key: str, value: str) -> None:
        """A full disk costs what `agent status` shows, and never the agent."""
        try:
            await self._spool.set_meta(key, value)
        except WriteFailed as error:
            log.warning("spool.refused", key=key, error=str(error))

    def _say_why(self, state: RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        event = EVENTS.get(type(error), "link.retry")
        log.warning(event, reason=str(error), next_try_s=round(state.upcoming_sleep, 3))


def ahead_limits(enrolment: Enrolment, slots: int, ahead: int | None) -> dict[Tag, int]:
    """Per tag, how many unstarted jobs to hold: much where we serve alone, little where others do too."""
    shared = set(enrolment.shared_tags)
    return {
        Tag(tag): ahead if ahead is not None else (slots if tag in shared else AHEAD_ALONE)
        for tag in enrolment.tags
    }


def first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
