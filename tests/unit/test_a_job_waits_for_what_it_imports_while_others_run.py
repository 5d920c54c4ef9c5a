"""A job whose bundle is not complete stays in custody and takes no slot; if it never can be, the job ends."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.executor.task import Outcome, Sink, Stop, Task
from agent.jobs.book import Book
from agent.jobs.runner import Runner, Site
from agent.jobs.supplied import Supplied
from agent.spool.budget import MIB, Bounds
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job
from tests.support.until import until

BUNDLE = "python3." + "ab" * 32
JOB = Job(
    job_id=JobId("plain"),
    attempt=Attempt(1),
    workspace="w",
    tag=Tag("t"),
    language="python3",
    code="",
    args=b"{}",
)
NEEDY = replace(JOB, job_id=JobId("needy"), bundle=BUNDLE, priority=9)


@dataclass
class AtSite:
    spool: Spool
    book: Book
    ran: list[Task] = field(default_factory=list)
    settled: dict[str, Supplied] = field(default_factory=dict)
    changed: list[str] = field(default_factory=list)

    async def run(self, task: Task, _sink: Sink, _stop: Stop) -> Outcome:
        self.ran.append(task)
        return Outcome(success=True, result=b"null", duration_ms=1)

    async def supplied(self, bundle: str) -> Supplied:
        return self.settled.get(bundle, Supplied())

    def settle(self, supplied: Supplied) -> None:
        self.settled[BUNDLE] = supplied
        self.book.unfinished.supplied(BUNDLE)
        self.book.changes.note()

    async def hold(self, *jobs: Job) -> None:
        for job in jobs:
            await self.book.hold(job, pack([job]))

    def names(self) -> list[str]:
        return [task.job_id for task in self.ran]


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[AtSite]:
    spool = await Spool.open(tmp_path, SystemClock())
    site = AtSite(spool, Book(spool, SystemClock()))
    site.book.unfinished.wait_for_bundles(site.settled.__contains__, site.changed.append)
    runner = Runner(
        site.book,
        spool,
        site,
        SystemClock(),
        slots=1,
        site=lambda: Site("", "", "", ""),
        link_is_up=bool,
        why_not=lambda _: "",
        supplied=site.supplied,
    )
    running = asyncio.ensure_future(runner.run())
    yield site
    running.cancel()
    with suppress(asyncio.CancelledError):
        await running
    await spool.close()


async def test_others_run_meanwhile_and_it_runs_with_its_packages(site: AtSite) -> None:
    await site.hold(NEEDY, JOB)
    await until(lambda: site.names() == ["plain"])
    assert site.book.unfinished.bundles() == {BUNDLE: 1}
    assert site.book.unfinished.unstarted() == {"t": 1}  # it counts for what custody is bounded by (I6)
    site.settle(Supplied(folder="/bundles/one"))
    await until(lambda: site.names() == ["plain", "needy"])
    assert site.ran[1].packages == "/bundles/one"
    assert site.ran[1].env["PYTHONPATH"] == "/bundles/one"
    assert "PYTHONPATH" not in site.ran[0].env
    await until(lambda: site.changed == [BUNDLE, BUNDLE])  # the first that needs it, and the last
    assert site.book.unfinished.bundles() == {}


async def test_other_languages_find_theirs(site: AtSite) -> None:
    await site.hold(replace(NEEDY, language="bun"))
    site.settle(Supplied(folder="/bundles/one"))
    await until(lambda: site.names() == ["needy"])
    assert site.ran[0].env["NODE_PATH"] == "/bundles/one/node_modules"


async def test_one_that_can_never_have_it_ends_with_the_reason(site: AtSite) -> None:
    await site.hold(NEEDY)
    site.settle(Supplied(unmet="there is no wheel of alpha"))
    await until(lambda: site.book.backlog == 1)
    assert site.ran == []
    result = await site.spool.result((NEEDY.job_id, NEEDY.attempt))
    assert result is not None
    assert result.started_at is None
    error = json.loads(result.document)
    assert error["name"] == "DependenciesMissing"
    assert "there is no wheel of alpha" in error["message"]


async def test_two_jobs_wait_for_one_bundle(site: AtSite) -> None:
    other = replace(NEEDY, job_id=JobId("other"))
    await site.hold(NEEDY, other, JOB)
    await until(lambda: site.names() == ["plain"])
    assert site.book.unfinished.bundles() == {BUNDLE: 2}
    site.settle(Supplied(folder="/bundles/one"))
    await until(lambda: site.changed == [BUNDLE, BUNDLE])
    assert sorted(site.names()) == ["needy", "other", "plain"]


async def test_a_restart_remembers_who_waits_for_what(site: AtSite) -> None:
    await site.hold(NEEDY)
    again = Book(site.spool, SystemClock())
    again.unfinished.wait_for_bundles(lambda _bundle: False, site.changed.append)
    await again.load()
    assert again.unfinished.bundles() == {BUNDLE: 1}
    assert again.unfinished.ready(10) == []


async def test_what_is_kept_for_jobs_counts_as_the_spools_and_leaves_room_for_results(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock(), Bounds(quota_bytes=64 * MIB))
    try:
        before, _ = spool.room.used_and_most()
        spare = spool.room.spare_bytes()
        spool.bundle_bytes = lambda: 40 * MIB
        assert spool.room.used_and_most()[0] == before + 40 * MIB
        assert spool.room.spare_bytes() == spare - 40 * MIB
        assert 0 < spool.room.spare_bytes() < 64 * MIB - 40 * MIB - before
    finally:
        await spool.close()
