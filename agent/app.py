"""Wires the agent together and supervises it: the only place that names concrete classes."""

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Final

import structlog

from agent import draining
from agent.clock import Clock, SystemClock
from agent.config import Settings
from agent.database import Damaged, WriteFailed
from agent.enrolling import Enrolling
from agent.errors import Revoked, SpoolError
from agent.executor.cgroup import delegated
from agent.executor.environment import site_environment
from agent.executor.limits import Limits
from agent.executor.process import Executor as ProcessExecutor
from agent.executor.process import Interpreters
from agent.executor.task import Stop
from agent.ground import let_in, trusted_by_jobs
from agent.job_api.http import Reply, Request
from agent.job_api.service import JobApi
from agent.jobs.book import Book
from agent.jobs.control import Control
from agent.jobs.holdings import SpoolHoldings
from agent.jobs.inquiry import Inquiry
from agent.jobs.intake import Intake
from agent.jobs.reporter import Reporter
from agent.jobs.runner import DISK_RETRY_S, Executor, Runner, Site
from agent.jobs.serving import NoServing
from agent.jobs.told import Told
from agent.jobs.upkeep import upkeep_of
from agent.jobs.wishes import Wishes
from agent.life import Enrol, IsRevoked, Life, Sleep, ahead_limits, first
from agent.link.enrol import keyring
from agent.link.http.holdings import Holdings
from agent.link.interfaces import until_interface_up
from agent.link.link import Enrolment, Link, LinkKind
from agent.linking import Links
from agent.policy import Policy
from agent.scripts.running import SiteScripts
from agent.scripts.telling import Telling
from agent.spool.credentials import Credentials
from agent.spool.refusal import unusable
from agent.spool.spool import Spool
from agent.spool.watch import Watch
from agent.spool.wiping import require_not_revoked, wipe
from agent.supplying import Supplying, supplying_of
from agent.systemd import Systemd
from agent.tls.outbound import Outbound
from agent.trust import SigningKey
from agent.wire.claims import WorkerName
from agent.wire.revoked import is_proved
from agent.wire.tokens import token_id

if TYPE_CHECKING:
    from agent.job_api.forwarding import Forwarding

log = structlog.get_logger()

STEADY_S: Final = 60.0  # an agent whose spool lasted this long before it was damaged had no bad disk
LAST_WORDS_S: Final = 10.0  # a draining agent tries this long to hand over what it has


Connect = Callable[[Enrolment, Holdings], AbstractAsyncContextManager[Link]]
Offer = Callable[[Enrolment, Holdings], Awaitable[None]]
Repeat = Callable[[], Coroutine[Any, Any, None]]
Tell = Callable[[Enrolment], Coroutine[Any, Any, None]]


async def offer_nothing(_enrolment: Enrolment, _holdings: Holdings) -> None:
    """Of an agent that only ever meets a token that holds."""


@dataclass(frozen=True, slots=True)
class Asking:
    """What it takes to answer jobs: the key for what was sealed for this device, the way to the cluster."""

    device: SigningKey
    outbound: Outbound


async def no_script(*_: object) -> None:
    """Of an agent whose site has none of its own."""
    await asyncio.get_running_loop().create_future()


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    """What an agent is made of. `serve` takes the real ones; the simulation brings its own."""

    clock: Clock
    executor: Executor
    enrol: Enrol
    connect: Connect
    sleep: Sleep = asyncio.sleep  # between two tries of the link
    policy: Policy = field(default_factory=Policy)
    is_revoked: IsRevoked = lambda _proof, _enrolment: False
    offer: Offer = offer_nothing
    jobs_ask: Asking | None = None  # None: jobs ask the cluster alone
    repeat_script: Repeat = no_script
    tell_scripts: Tell = no_script
    supplying: Supplying = field(default_factory=Supplying)
    languages: Sequence[str] = ()  # that can be run here; none: whatever comes is tried


class Agent:
    def __init__(self, spool: Spool, parts: Parts, *, base_url: str, slots: int, ahead: int | None) -> None:
        """`ahead`: unstarted jobs to hold per tag; None = as many as suits."""
        self._spool = spool
        self._base_url = base_url
        self._slots = slots
        self._ahead = ahead
        self._book = Book(spool, parts.clock)
        self._inquiry = Inquiry(self._book, spool, parts.clock)
        self._wishes = Wishes(spool, parts.clock, self._book.changes)
        self._is_linked_by_amqp = False
        self._forwarding: Forwarding | None = None
        self._job_api = self._job_api_of(parts)
        serving = self._job_api or NoServing()
        self._reporter = Reporter(self._book, spool, parts.clock, self._inquiry, self._wishes, serving)
        holdings = SpoolHoldings(spool, self._book)
        self._life = Life(
            spool,
            self._book,
            parts.clock,
            enrol=parts.enrol,
            connect=lambda enrolment: parts.connect(enrolment, holdings),
            slots=slots,
            sleep=parts.sleep,
            is_revoked=parts.is_revoked,
            offer=lambda enrolment: parts.offer(enrolment, holdings),
            platform=parts.supplying.platform,
            languages=parts.languages,
        )
        self._languages = frozenset(parts.languages)
        self._site = Site("", socket.gethostname(), base_url, "")
        self._runner = Runner(
            self._book,
            spool,
            parts.executor,
            parts.clock,
            slots=slots,
            site=lambda: self._site,
            link_is_up=lambda: self._life.link_up,
            why_not=parts.policy.why_not,
            serving=serving,
            supplied=parts.supplying.of,
        )
        self._supplying = parts.supplying
        self._why_not = parts.policy.why_not
        self._parts = parts
        self._draining = asyncio.Event()
        self._recovered = asyncio.Event()

    async def run(self) -> None:
        """Start = recover. Ends after a drain; anything else that ends it is a bug."""
        await self._supplying.begin(self._book, self._spool)
        await self._recover()
        log.info("agent.started", held=self._book.held)
        self._recovered.set()
        if cached := await self.cached_enrolment():
            self._know(cached)
        async with self._answering_jobs(), asyncio.TaskGroup() as group:
            running = group.create_task(self._runner.run(), name="runner")
            linked = group.create_task(self._life.run(self._one_life), name="life")
            upkeep = group.create_task(upkeep_of(self._spool), name="upkeep")
            script = group.create_task(self._parts.repeat_script(), name="periodic script")
            supplying = group.create_task(self._supplying.run(self._spool), name="supplies")
            await self._draining.wait()
            log.info("agent.draining", running=self._runner.running)
            script.cancel()
            self._runner.stop_starting()
            await self._runner.drain()
            await self._hand_over()
            for task in (running, linked, upkeep, supplying):
                task.cancel()
        log.info("agent.stopped", held=self._book.held)

    def _job_api_of(self, parts: Parts) -> JobApi | None:
        if parts.jobs_ask is None:
            return None
        return JobApi(
            self._spool.script_states,
            partial(self._pass_on, parts.jobs_ask.outbound),
            parts.clock,
            self._wishes.pace_changed,
            parts.jobs_ask.device,
            link_is_up=lambda: self._life.link_up,
            pings_carry=lambda: self._is_linked_by_amqp,
        )

    async def _pass_on(self, outbound: Outbound, request: Request) -> Reply:
        if self._forwarding is None:
            from agent.job_api.forwarding import Forwarding  # noqa: PLC0415 httpx, and most jobs ask nothing

            self._forwarding = Forwarding(lambda: self._site.base_url, outbound)
        return await self._forwarding.pass_on(request)

    @contextlib.asynccontextmanager
    async def _answering_jobs(self) -> AsyncIterator[None]:
        if self._job_api is None:
            yield
            return
        async with self._job_api.listening():
            try:
                yield
            finally:
                if self._forwarding is not None:
                    await self._forwarding.close()

    async def cached_enrolment(self) -> Enrolment | None:
        """What the cluster said of this agent last, if it ever did."""
        return await self._life.cached_enrolment()

    async def _recover(self) -> None:
        """Read what is held and decide what each becomes; on a disk that refuses, again until it does not."""
        while True:
            try:
                await self._book.load()
                await self._wishes.load()
                await self._runner.recover()
            except WriteFailed as error:
                log.error("spool.refused", error=str(error))
                await asyncio.sleep(DISK_RETRY_S)
            else:
                return

    def drain(self) -> None:
        """Finish what runs, take nothing new, then end."""
        self._draining.set()

    async def supervised(self, systemd: Systemd) -> None:
        """Once recovered: tell systemd so, and that we live for as long as loop and disk writer answer."""
        await self._recovered.wait()
        systemd.ready(self._in_words())
        await systemd.watched(self._spool.answers, self._in_words)

    def _in_words(self) -> str:
        link = "up" if self._life.link_up else "down"
        waits = self._book.backlog
        return f"link {link}, {self._book.held} jobs held, {waits} results wait to leave"

    async def show_drain(self) -> None:
        await self._draining.wait()
        await draining.shown(lambda: self._runner.running + self._book.backlog)

    async def _one_life(self, link: Link, enrolment: Enrolment) -> None:
        """One life of the link. Any failure ends all of it; `life.py` begins a new one."""
        self._know(enrolment)
        limits = ahead_limits(enrolment, self._slots, self._ahead)
        reject, keys = self._reporter.reject, keyring(enrolment)
        may_take = self._wishes.may_take
        runs = self._languages if enrolment.routes_languages else None
        intake = Intake(
            self._book, self._spool, link, keys, limits, reject, self._why_not, may_take, languages=runs
        )
        async with asyncio.TaskGroup() as outer:  # falls last: finished results still leave
            outer.create_task(link.lost(), name="link")
            outer.create_task(self._reporter.run(link), name="reporter")
            outer.create_task(self._parts.tell_scripts(enrolment), name="scripts")
            told = Told(
                WorkerName(enrolment.worker), keys, is_signed=enrolment.signs_control and not link.vouches
            )
            control = Control(
                self._book,
                self._spool,
                self._runner,
                link,
                self._inquiry,
                told,
                self._reporter.reject_once,
                self._wishes,
                intake.take_sent,
                self._supplying.heed(keys),
            )
            outer.create_task(self._supplying.fetch(link, enrolment), name="bundles")
            outer.create_task(control.run(), name="control")
            async with asyncio.TaskGroup() as inner:  # falls first: nothing new comes in
                taking = inner.create_task(intake.run(), name="intake")
                inner.create_task(self._stop_on_drain(link, taking), name="drain")

    async def _stop_on_drain(self, link: Link, taking: asyncio.Task[None]) -> None:
        await self._draining.wait()
        taking.cancel()
        await self._life.say_bye(link)

    async def _hand_over(self) -> None:
        """Give the results that are finished a moment to leave. What stays is in the spool."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_WORDS_S):
                while self._life.link_up and self._book.backlog:
                    await self._book.changes.newer_than(self._book.changes.version)

    def _know(self, enrolment: Enrolment) -> None:
        api_url = enrolment.base_url or self._base_url  # behind a relay the cluster is elsewhere
        self._site = Site(enrolment.worker, self._site.hostname, api_url, enrolment.worker_group)
        self._is_linked_by_amqp = enrolment.link is LinkKind.AMQP


async def serve(settings: Settings, umask: int) -> None:
    """Run until SIGTERM or SIGINT, then drain. Raises `SpoolError` when the spool is not to be used, and
    `InitScriptFailed`.

    `umask`: of the jobs' processes.

    Crash-only: a spool that turns out damaged while it is used ends the agent inside this process, with the
    jobs that run, and what can be read of it is the spool of the next one.
    """
    damaged = False
    mine = token_id(settings.token.reveal())
    while True:
        began_s = time.monotonic()
        with unusable(settings.spool):
            require_not_revoked(settings.spool, mine)
        spool = await Spool.open(
            settings.spool, SystemClock(), settings.bounds, seal=settings.seal, damaged=damaged
        )
        try:
            await _run_agent(settings, spool, umask)
        except* Damaged as group:
            log.error("spool.damaged", error=str(first(group)))
            damaged = True
        except* Revoked:
            log.error("agent.revoked", spool=str(settings.spool))
            with unusable(settings.spool):
                wipe(settings.spool, mine)
                require_not_revoked(settings.spool, mine)
        else:
            return
        finally:
            await spool.close()
        if time.monotonic() - began_s < STEADY_S:
            await asyncio.sleep(DISK_RETRY_S)  # a disk that damages what it is given must not become a storm


async def _run_agent(settings: Settings, spool: Spool, umask: int) -> None:
    interpreters = Interpreters.found(settings.bash_path, settings.python_path)
    limits = Limits(result_bytes=settings.bounds.result_most_bytes(spool.folder.disk_bytes()))
    account = settings.account
    if account is not None:
        let_in(account, spool)
    is_new = await spool.get_meta("enrolment") is None
    credentials = Credentials(spool.folder.path, settings.token, spool.seal, is_new=is_new)
    log.info("device.known", device=credentials.device.kid)
    executor = ProcessExecutor(
        spool.folder.work,
        settings.policy.limits(limits),
        interpreters,
        site_environment() | trusted_by_jobs(settings.outbound, spool.folder.work),
        account=account,
        umask=umask,
        hidden=credentials.tokens,
        warm=settings.warm,
        cgroup=settings.cgroup or delegated(),
        languages=settings.repertoire.known,
    )
    log.info("leftovers.killed", processes=executor.kill_leftovers())
    languages = settings.repertoire.beside({"bash": interpreters.bash, "python3": interpreters.python3})
    scripts = SiteScripts(settings.scripts, executor, SystemClock())
    telling = Telling(
        scripts, settings.base_url, credentials, spool.folder.identity, settings.outbound, SystemClock()
    )
    links = Links(settings, credentials, spool.folder.identity, languages)
    parts = Parts(
        clock=SystemClock(),
        executor=executor,
        enrol=Enrolling(settings.base_url, credentials, settings.outbound).enrol,
        connect=links.connect,
        offer=links.offer,
        sleep=until_interface_up,
        policy=settings.policy,
        jobs_ask=Asking(credentials.device, settings.outbound),
        repeat_script=scripts.repeat,
        tell_scripts=telling.run,
        supplying=await supplying_of(settings, spool, SystemClock(), interpreters.python3),
        languages=languages,
        is_revoked=lambda proof, enrolment: (
            bool(settings.seal.key_id)
            and is_proved(proof, credentials.token.reveal(), keyring(enrolment).verify)
        ),
    )
    agent = Agent(spool, parts, base_url=settings.base_url, slots=settings.slots, ahead=settings.ahead)
    stop = Stop()

    def drain() -> None:
        settings.systemd.stopping("finishes what runs, takes nothing new")
        stop.request("orvanta", "the agent was told to end")
        agent.drain()

    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, drain)
    try:
        await telling.begin(stop, agent.cached_enrolment)
        await _watched(spool, agent, settings.systemd)
    finally:
        executor.close()


async def _watched(spool: Spool, agent: Agent, systemd: Systemd) -> None:
    """Run the agent for as long as its spool is there. Raises `SpoolGone`: running jobs are stopped then."""
    try:
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(Watch(spool).run(), name="watch")
            showing = group.create_task(agent.show_drain(), name="show drain")
            supervised = group.create_task(agent.supervised(systemd), name="supervised")
            await agent.run()
            watching.cancel()
            showing.cancel()
            supervised.cancel()
    except BaseExceptionGroup as ended:
        gone, others = ended.split(SpoolError)
        if gone is None or others is not None:
            raise
        log.error("spool.gone", reason=str(first(gone)))
        raise first(gone) from None
