"""What an agent cannot run it gives back before it takes custody; what was sent to it alone it takes."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

import pytest

from agent.compression import compress
from agent.errors import LinkDown
from agent.jobs.control import Control
from agent.jobs.inquiry import Inquiry
from agent.jobs.intake import Intake
from agent.jobs.told import Told
from agent.policy import Policy
from agent.trust import Keyring, SigningKey
from agent.wire import proofs
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import Sign, pack, seal
from agent.wire.messages import Job, Rejected
from tests.simulation.alone import Delivery, OpenLink, Prompt, VirtualSite, in_virtual_time

BRIDGE = SigningKey.made()
WORKER = WorkerName("ag-shop-a")
BASH = frozenset({"bash"})
JOB = Job(
    job_id=JobId("j"), attempt=Attempt(2), workspace="w", tag=Tag("t"), language="bun", code="", args=b"{}"
)


class Agent:
    """What of it takes jobs, and what it reports."""

    def __init__(
        self, site: VirtualSite, languages: frozenset[str] | None, *, is_signed: bool = True
    ) -> None:
        self.reports: list[Rejected] = []
        self.link = OpenLink()
        keys = Keyring({BRIDGE.kid: BRIDGE.public})
        self.intake = Intake(
            site.book, site.spool, self.link, keys, {Tag("t"): 5}, self.reports.append, Policy().why_not,
            languages=languages,
        )  # fmt: skip
        inquiry = Inquiry(site.book, site.spool, site.clock)
        self._control = Control(
            site.book, site.spool, site.runner(Prompt()), self.link, inquiry,
            Told(WORKER, keys, is_signed=is_signed), self._reject_once, site.wishes(), self.intake.take_sent,
        )  # fmt: skip

    async def arrives(self, job: Job) -> None:
        await _acked(self.intake.take, pack([job]), BRIDGE.sign)

    async def is_sent(self, job: Job) -> None:
        """By its own control queue."""
        body = pack([job])
        await _acked(self._control.obey, body, lambda exact: BRIDGE.sign(proofs.told(WORKER, exact)))

    def _reject_once(self, _kinds: frozenset[str], report: Rejected) -> None:
        self.reports.append(report)


async def _acked(take: Callable[[Delivery], Awaitable[None]], body: bytes, sign: Sign) -> None:
    envelope = seal(body, compress, sign)
    delivery = Delivery(envelope.body, dict(envelope.headers))
    await take(delivery)
    assert delivery.acked


@in_virtual_time
async def test_a_language_that_is_not_run_here_goes_back(site: VirtualSite) -> None:
    agent = Agent(site, BASH)
    await agent.arrives(JOB)
    ((report,),) = agent.link.sent
    assert isinstance(report, Rejected)
    assert (report.job_id, report.attempt, report.language, report.body) == ("j", 2, "bun", b"")
    assert report.reason.startswith("LanguageNotRun")
    assert site.book.held == 0
    await agent.arrives(replace(JOB, language="bash"))
    assert site.book.held == 1
    assert len(agent.link.sent) == 1
    assert agent.reports == []  # nothing for the dead letters


@in_virtual_time
async def test_it_is_not_acknowledged_before_the_bridge_can_know(site: VirtualSite) -> None:
    """I3: else it would be nobody's, should the agent die now."""
    agent = Agent(site, BASH)
    agent.link.is_down = True
    delivery = Delivery(pack([JOB]), dict(seal(pack([JOB]), compress, BRIDGE.sign).headers))
    with pytest.raises(LinkDown):
        await agent.intake.take(delivery)
    assert not delivery.acked


@in_virtual_time
async def test_a_bridge_that_sends_nothing_elsewhere_hears_from_the_job_itself(site: VirtualSite) -> None:
    agent = Agent(site, None)
    await agent.arrives(JOB)
    assert site.book.held == 1  # the executor says what is missing


@in_virtual_time
async def test_what_the_cluster_handed_to_this_agent_is_its_own_to_end(site: VirtualSite) -> None:
    agent = Agent(site, BASH)
    agent.link.vouches = True
    await agent.arrives(JOB)
    assert site.book.held == 1


@in_virtual_time
async def test_what_is_sent_to_it_alone_is_taken_once(site: VirtualSite) -> None:
    agent = Agent(site, frozenset({"bash", "bun"}))
    await agent.is_sent(JOB)
    await agent.is_sent(JOB)
    assert [job.key for job in site.book.unfinished.ready(9)] == [("j", 2)]
    await agent.is_sent(replace(JOB, job_id=JobId("k"), tag=Tag("other")))
    assert [report.reason.partition(":")[0] for report in agent.reports] == ["TagNotHeld"]
    assert site.book.held == 1


@in_virtual_time
async def test_code_that_no_bridge_signed_is_not_taken_this_way_either(site: VirtualSite) -> None:
    """I4: an older bridge signs nothing that it tells, so nobody knows whose word this is."""
    agent = Agent(site, BASH, is_signed=False)
    await agent.is_sent(replace(JOB, language="bash"))
    assert site.book.held == 0
    assert [report.reason.partition(":")[0] for report in agent.reports] == ["BadSignature"]
