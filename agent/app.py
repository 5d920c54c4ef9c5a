"""Wires the agent together and supervises it: the only place that names concrete classes."""

import asyncio
import contextlib
import signal
import socket
from typing import Final

import structlog

from agent.clock import SystemClock
from agent.config import Settings
from agent.executor.limits import Limits
from agent.executor.process import Executor, Interpreters
from agent.jobs.book import Book
from agent.jobs.control import Control
from agent.jobs.intake import Intake
from agent.jobs.reporter import Reporter
from agent.jobs.runner import Runner, Site
from agent.life import Life, ahead_limits
from agent.link.amqp import connect
from agent.link.enrol import enrol, keyring
from agent.link.link import Enrolment, Link
from agent.spool.spool import Spool

log = structlog.get_logger()

LAST_WORDS_S: Final = 10.0  # a draining agent tries this long to hand over what it has


class Agent:
    def __init__(self, settings: Settings, spool: Spool) -> None:
        clock = SystemClock()
        self._settings = settings
        self._spool = spool
        self._book = Book(spool, clock)
        self._executor = Executor(
            spool.folder.work, Limits(), Interpreters.found(settings.bash_path, settings.python_path)
        )
        self._reporter = Reporter(self._book, spool, clock)
        self._life = Life(
            spool,
            self._book,
            clock,
            enrol=lambda suffix, about: enrol(settings.base_url, settings.token, suffix, about),
            connect=connect,
            slots=settings.slots,
        )
        self._site = Site("", socket.gethostname(), settings.base_url, "")
        self._runner = Runner(
            self._book,
            spool,
            self._executor,
            clock,
            slots=settings.slots,
            site=lambda: self._site,
            link_is_up=lambda: self._life.link_up,
        )
        self._draining = asyncio.Event()

    async def run(self) -> None:
        """Start = recover. Ends after a drain; anything else that ends it is a bug."""
        killed = self._executor.kill_leftovers()
        await self._book.load()
        log.info("agent.started", held=len(self._book.all()), leftovers_killed=killed)
        await self._runner.recover()
        if cached := await self._life.cached_enrolment():
            self._know(cached)
        async with asyncio.TaskGroup() as group:
            running = group.create_task(self._runner.run(), name="runner")
            linked = group.create_task(self._life.run(self._one_life), name="life")
            await self._draining.wait()
            log.info("agent.draining", running=self._runner.running)
            self._runner.stop_starting()
            await self._runner.drain()
            await self._hand_over()
            running.cancel()
            linked.cancel()
        log.info("agent.stopped", held=len(self._book.all()))

    def drain(self) -> None:
        """Finish what runs, take nothing new, then end."""
        self._draining.set()

    async def _one_life(self, link: Link, enrolment: Enrolment) -> None:
        """One life of the link. Any failure ends all of it; `life.py` begins a new one."""
        self._know(enrolment)
        limits = ahead_limits(enrolment, self._settings.slots, self._settings.ahead)
        intake = Intake(self._book, self._spool, link, keyring(enrolment), limits, self._reporter.reject)
        async with asyncio.TaskGroup() as outer:  # falls last: finished results still leave
            outer.create_task(link.lost(), name="link")
            outer.create_task(self._reporter.run(link), name="reporter")
            outer.create_task(Control(self._book, self._spool, self._runner, link).run(), name="control")
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
                while self._life.link_up and self._book.unsent():
                    await self._book.changes.newer_than(self._book.changes.version)

    def _know(self, enrolment: Enrolment) -> None:
        self._site = Site(
            enrolment.worker, self._site.hostname, self._settings.base_url, enrolment.worker_group
        )


async def serve(settings: Settings) -> None:
    """Run until SIGTERM or SIGINT, then drain. Raises `SpoolError` when the spool is not to be used."""
    spool = await Spool.open(settings.spool, SystemClock())
    try:
        agent = Agent(settings, spool)
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, agent.drain)
        await agent.run()
    finally:
        await spool.close()
