"""Control, reports and questions of one agent, without a broker in between."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import pytest

from agent.errors import LinkDown
from agent.jobs.control import NOT_HELD, Control
from agent.jobs.inquiry import ASKED_MAX, OLD_S, Inquiry
from agent.jobs.intake import JOB_ID_MAX, Intake
from agent.jobs.model import Event
from agent.jobs.reporter import LOG_CHARS_MAX, Reporter
from agent.jobs.told import Told
from agent.policy import Policy
from agent.trust import Keyring, SigningKey
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import pack, seal
from agent.wire.messages import Check, Job, Log, Ping, Rejected, Renew, Settings
from tests.simulation.alone import Delivery, OpenLink, Prompt, VirtualSite, in_virtual_time

MINUTE_S = 60.0
ALL_ALLOWED = Policy()


def intake_of(
    site: VirtualSite,
    link: OpenLink,
    keys: Keyring,
    refused: list[Rejected],
    limits: Mapping[Tag, int] = MappingProxyType({Tag("t"): 1}),
    policy: Policy = ALL_ALLOWED,
) -> Intake:
    return Intake(site.book, site.spool, link, keys, limits, refused.append, policy.why_not)


def control(site: VirtualSite, link: OpenLink) -> Control:
    """Of an agent whose bridge signs nothing that it tells."""
    told = Told(WorkerName("ag-t-a"), Keyring({}), is_signed=False)
    return site.control(site.runner(Prompt()), link, told, lambda _kinds, _report: None)


@in_virtual_time
async def test_what_it_cannot_read_is_acknowledged_and_changes_nothing(site: VirtualSite) -> None:
    key = await site.hold()
    noise = Delivery(b"noise")
    await control(site, OpenLink()).obey(noise)
    assert noise.acked
    assert [job.key for job in site.book.unfinished.ready(9)] == [key]


@in_virtual_time
async def test_it_says_which_jobs_it_does_not_hold_any_more(site: VirtualSite) -> None:
    """What is held needs no word; of what is in quarantine the reporter says what is wrong."""
    held, odd = await site.hold("held"), await site.hold("odd")
    await site.book.set_aside(odd, "it is odd")
    link = OpenLink()
    for keys in ([held], [held, odd], [held, odd, (JobId("gone"), Attempt(1))]):
        checks = Delivery(pack([Check(job_id=key[0], attempt=key[1]) for key in keys]))
        await control(site, link).obey(checks)
        assert checks.acked
    assert link.sent == [[Rejected(reason=NOT_HELD, job_id="gone", attempt=1)]]


@in_virtual_time
async def test_it_reports_quarantine_once_and_cuts_its_log_into_messages(
    site: VirtualSite,
) -> None:
    key, odd = await site.hold(), await site.hold("odd")
    await site.book.set_aside(odd, "it is odd")
    text = "x" * 3 * LOG_CHARS_MAX
    await site.spool.add_log(key, 0, text)
    link = OpenLink()
    inquiry = Inquiry(site.book, site.spool, site.clock)
    reporter = Reporter(site.book, site.spool, site.clock, inquiry, site.wishes())
    reporting = asyncio.ensure_future(reporter.run(link))
    await asyncio.sleep(MINUTE_S)
    assert [message.job_id for message in link.of(Rejected)] == ["odd"]
    assert await site.spool.unreported() == []
    assert "".join(message.text for message in link.of(Log)) == text
    sizes = [sum(len(one.text) for one in sent) for sent in link.sent if isinstance(sent[0], Log)]
    assert max(sizes) <= LOG_CHARS_MAX
    assert not reporting.done()


@in_virtual_time
async def test_an_answer_counts_for_what_was_sent_before_its_question(site: VirtualSite) -> None:
    """Of too many questions the oldest is forgotten; an answer that finds nothing lost changes nothing."""
    key = await site.finish("j")
    await site.book.note_sent([key])
    inquiry, link = Inquiry(site.book, site.spool, site.clock), OpenLink()
    ping = Ping(held=1, running=0, backlog=0, wall_s=0.0)
    asking = asyncio.ensure_future(inquiry.run(link, lambda ping_id: replace(ping, ping_id=ping_id)))
    await asyncio.sleep((ASKED_MAX + 3) * OLD_S)
    asking.cancel()
    questions = [message.ping_id for message in link.of(Ping)]
    await inquiry.heed(Settings(wall_s=0.0, hello_id=questions[0]))
    assert site.book.backlog == 0
    await inquiry.heed(Settings(wall_s=0.0, hello_id=questions[-1]))
    assert site.book.backlog == 1
    await site.book.note_sent([key])
    await inquiry.heed(Settings(wall_s=0.0, hello_id=questions[-2]))
    assert site.book.backlog == 0


@in_virtual_time
async def test_what_it_refuses_it_names_only_as_far_as_that_is_proved(site: VirtualSite) -> None:
    """I4."""
    job = Job(job_id=JobId("j"), attempt=Attempt(1), workspace="w", tag=Tag("other"), language="bash",
              code="", args=b"{}")  # fmt: skip
    refused: list[Rejected] = []
    key = SigningKey.made()
    ring = Keyring({key.kid: key.public})
    intake = intake_of(site, OpenLink(), ring, refused)
    signed = seal(pack([job]), bytes, key.sign).headers
    for offered, headers in (
        (job, signed),
        (job, {}),
        (replace(job, job_id=JobId("x" * (JOB_ID_MAX + 1))), {}),
    ):
        delivery = Delivery(pack([offered]), dict(headers))
        await intake.take(delivery)
        assert delivery.acked
    assert [(one.job_id, one.claimed_job_id) for one in refused] == [("j", "j"), ("", "j"), ("", "")]
    assert "does not hold the tag 'other'" in refused[0].reason
    assert site.book.held == 0


@in_virtual_time
async def test_a_job_that_the_site_does_not_allow_is_refused_with_the_reason(site: VirtualSite) -> None:
    """A pushed one goes back to be offered elsewhere; one that was pulled, or is here already, ends here."""
    policy = Policy(languages=["python3"])
    job = Job(job_id=JobId("j"), attempt=Attempt(1), workspace="w", tag=Tag("t"), language="bash",
              code="", args=b"{}")  # fmt: skip
    refused: list[Rejected] = []
    link = OpenLink()
    key = SigningKey.made()
    intake = intake_of(site, link, Keyring({key.kid: key.public}), refused, policy=policy)
    signed = seal(pack([job]), bytes, key.sign).headers
    await intake.take(Delivery(pack([job]), dict(signed)))
    assert [(one.job_id, one.reason) for one in refused] == [
        ("j", "NotAllowed: the policy of this site allows no language 'bash'")
    ]
    assert site.book.held == 0
    link.vouches = True
    await intake.take(Delivery(pack([job])))
    executor = Prompt()
    running = asyncio.ensure_future(site.runner(executor, policy=policy).run())
    result = await site.kept((job.job_id, job.attempt))
    assert not result.success
    assert b'"name": "NotAllowed"' in result.document
    assert b"allows no language 'bash'; it was not run" in result.document
    assert executor.ran == []
    running.cancel()


@in_virtual_time
async def test_an_attempt_that_is_over_is_not_taken_again_and_its_custody_stays(site: VirtualSite) -> None:
    """I2. The report names no job that the bridge could take from whoever has it now."""
    key = SigningKey.made()
    refused: list[Rejected] = []
    ring = Keyring({key.kid: key.public})
    intake = intake_of(site, OpenLink(), ring, refused)
    job = Job(job_id=JobId("j"), attempt=Attempt(1), workspace="w", tag=Tag("t"), language="bash",
              code="", args=b"{}")  # fmt: skip
    body = pack([job])
    headers = dict(seal(body, bytes, key.sign).headers)
    for _ in range(2):  # one that comes again while it is held is no replay: its acknowledgement was lost
        await intake.take(Delivery(body, headers))
    assert (refused, site.book.held) == ([], 1)
    await site.book.forget([("j", 1)])
    again = Delivery(body, headers)
    await intake.take(again)
    assert again.acked
    assert site.book.held == 0
    (report,) = refused
    assert report.reason == "Replayed: attempt 1 of job j was here before, and is over"
    assert (report.job_id, report.claimed_job_id, report.body) == ("", "", body)


@in_virtual_time
async def test_a_new_token_gives_back_what_it_does_not_hold(site: VirtualSite) -> None:
    """I4. What runs goes on; on a link that only brings home, nothing is given back."""
    waiting, running = await site.hold("waiting"), await site.hold("running")
    await site.book.apply(running, Event.STARTED)
    for limits, given_back in (({}, []), ({Tag("other"): 1}, ["waiting"]), ({Tag("other"): 1}, [])):
        refused: list[Rejected] = []
        intake = intake_of(site, OpenLink(), Keyring({}), refused, limits)
        taking = asyncio.ensure_future(intake.run())
        await asyncio.sleep(1)
        taking.cancel()
        assert [one.job_id for one in refused] == given_back
    assert site.book.get(waiting) is None
    assert site.book.held == 1


@in_virtual_time
async def test_it_enrols_again_when_it_is_told_to(site: VirtualSite) -> None:
    renew = Delivery(pack([Renew()]))
    with pytest.raises(LinkDown, match="enrol again"):
        await control(site, OpenLink()).obey(renew)
    assert renew.acked  # else it would come again with every life of the link


@in_virtual_time
async def test_a_job_whose_bytes_are_damaged_is_never_run(site: VirtualSite) -> None:
    await site.hold("odd")
    sound = await site.hold("sound")
    site.disk.connection.execute("UPDATE held SET body = x'00' WHERE job_id = 'odd'")
    executor = Prompt()
    running = asyncio.ensure_future(site.runner(executor).run())
    await site.kept(sound)
    assert executor.ran == ["sound"]
    assert [job_id for _, job_id, *_ in await site.spool.unreported()] == ["odd"]
    running.cancel()


@in_virtual_time
async def test_a_draining_agent_starts_nothing(site: VirtualSite) -> None:
    key = await site.hold()
    executor = Prompt()
    runner = site.runner(executor)
    runner.stop_starting()
    running = asyncio.ensure_future(runner.run())
    await runner.drain()
    await asyncio.sleep(MINUTE_S)
    assert executor.ran == []
    assert [job.key for job in site.book.unfinished.ready(9)] == [key]
    running.cancel()


@in_virtual_time
async def test_a_job_that_runs_again_says_so_in_its_log(site: VirtualSite) -> None:
    key = await site.hold()
    await site.book.apply(key, Event.STARTED)
    runner = site.runner(Prompt())
    await runner.recover()
    running = asyncio.ensure_future(runner.run())
    await site.kept(key)
    (chunk,) = await site.spool.pending_log(9)
    assert chunk.text.endswith("[... interrupted: the agent stopped; the job is run again ...]\n")
    running.cancel()
