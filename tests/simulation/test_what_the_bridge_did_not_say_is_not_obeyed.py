"""I1, I2, I7: the broker may forge, change, retarget and repeat; the agent obeys its bridge alone."""

import asyncio
from collections.abc import Callable, Sequence

import pytest
from structlog.testing import capture_logs

from agent.compression import compress
from agent.errors import LinkDown
from agent.jobs.inquiry import Inquiry
from agent.jobs.model import Event, State
from agent.jobs.refusals import BODY_CUT, BODY_SHOWN_MAX
from agent.jobs.reporter import Reporter
from agent.jobs.told import Told
from agent.trust import Keyring, SigningKey
from agent.wire import proofs
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import INTRODUCED, Envelope, pack, seal
from agent.wire.messages import (
    Accepted,
    Cancel,
    Check,
    Grant,
    Job,
    Message,
    Receipt,
    Rejected,
    Renew,
    Revoke,
    Settings,
)
from agent.wire.messages import (
    Delivery as HowOften,
)
from bridge.relay.signer import Signer
from tests.simulation.alone import Delivery, OpenLink, Prompt, VirtualSite, in_virtual_time

WORKER, OTHER = WorkerName("ag-shop-till-a"), WorkerName("ag-shop-till-b")
BRIDGE, STRANGER = SigningKey.made(), SigningKey.made()
SIGNER = Signer({BRIDGE.kid: BRIDGE.raw})

Forge = Callable[[Sequence[Message]], Envelope]


def unsigned(messages: Sequence[Message]) -> Envelope:
    return seal(pack(messages), compress)


def by_a_stranger(messages: Sequence[Message]) -> Envelope:
    """Who vouches for itself, and takes the bridge's name in the second try."""
    envelope = Signer({STRANGER.kid: STRANGER.raw}).seal_for(WORKER, pack(messages))
    introduced = STRANGER.introduce(STRANGER).text()
    return Envelope(envelope.body, None, {**envelope.headers, INTRODUCED: introduced})


def by_a_stranger_in_its_name(messages: Sequence[Message]) -> Envelope:
    envelope = by_a_stranger(messages)
    return Envelope(envelope.body, None, {**envelope.headers, "kid": BRIDGE.kid})


def changed(messages: Sequence[Message]) -> Envelope:
    """A true signature, of something else."""
    return Envelope(pack(messages), None, SIGNER.seal_for(WORKER, pack([])).headers)


def of_another_agent(messages: Sequence[Message]) -> Envelope:
    return SIGNER.seal_for(OTHER, pack(messages))


def signed_as_a_job(messages: Sequence[Message]) -> Envelope:
    return SIGNER.seal(pack(messages))


def signed_as_a_pull(messages: Sequence[Message]) -> Envelope:
    return seal(pack(messages), compress, lambda body: SIGNER.sign(proofs.pulled(WORKER, "", body)))


FORGERIES: Sequence[Forge] = (
    unsigned, by_a_stranger, by_a_stranger_in_its_name, changed, of_another_agent, signed_as_a_job,
    signed_as_a_pull,
)  # fmt: skip


class Agent:
    """What of an agent hears the bridge."""

    def __init__(self, site: VirtualSite, *, keys: Keyring | None = None) -> None:
        self._link = OpenLink()
        inquiry = Inquiry(site.book, site.spool, site.clock)
        self._reporter = Reporter(site.book, site.spool, site.clock, inquiry, site.wishes())
        told = Told(WORKER, keys or Keyring({BRIDGE.kid: BRIDGE.public}), is_signed=True)
        self._control = site.control(site.runner(Prompt()), self._link, told, self._reporter.reject_once)

    async def hears(self, envelope: Envelope) -> None:
        delivery = Delivery(envelope.body, dict(envelope.headers))
        delivery.content_encoding = envelope.content_encoding
        await self._control.obey(delivery)
        assert delivery.acked  # a refused one must not come again with every life of the link

    async def reports(self) -> list[Rejected]:
        """What goes up of it, for the dead letters."""
        return [message for message in await self.says() if isinstance(message, Rejected)]

    async def says(self) -> list[Message]:
        reporting = asyncio.ensure_future(self._reporter.run(self._link))
        await asyncio.sleep(1)
        reporting.cancel()
        return [message for messages in self._link.sent for message in messages]


@pytest.mark.parametrize("forge", FORGERIES, ids=lambda forge: forge.__name__)
def test_what_it_says_is_refused(forge: Forge) -> None:
    @in_virtual_time
    async def story(site: VirtualSite) -> None:
        agent = Agent(site)
        result = await site.finish("result")
        waiting = await site.hold("waiting", delivery=HowOften.AT_MOST_ONCE)
        ready, other = await site.hold("ready"), await site.hold("other")
        asked = site.book.bridge_time.ask()
        for message in (
            Receipt(job_id=result[0], attempt=result[1]),
            Grant(job_id=waiting[0], attempt=waiting[1], grant_id=site.book.grant_id),
            Revoke(job_id=ready[0], attempt=ready[1], over=True),
            Cancel(job_id=other[0], attempt=other[1], by="nobody"),
            Check(job_id=JobId("gone"), attempt=Attempt(1)),
            Settings(wall_s=1.0, hello_id=asked),
            Renew(),
        ):
            await agent.hears(forge([message]))
        assert await site.spool.result(result) is not None
        assert [(job.key, job.state) for job in site.book.unfinished.all_unstarted()] == [
            (waiting, State.WAITING), (ready, State.READY), (other, State.READY),
        ]  # fmt: skip
        assert site.book.bridge_time.ahead_s is None
        reports = await agent.reports()
        told = [one.reason.rpartition("it calls itself ")[2] for one in reports]
        assert told == ["receipt", "grant", "revoke", "cancel", "check", "settings", "renew"]
        assert {one.reason.partition(":")[0] for one in reports} == {"BadSignature"}
        assert {(one.job_id, one.claimed_job_id) for one in reports} == {("", "")}

    story()


@in_virtual_time
async def test_what_the_bridge_says_is_done(site: VirtualSite) -> None:
    """Several words in one message have one signature; a large one is compressed, and signed before that."""
    agent = Agent(site)
    results = [await site.finish(f"result {number}") for number in range(50)]
    waiting = await site.hold("waiting", delivery=HowOften.AT_MOST_ONCE)
    receipts = [Receipt(job_id=key[0], attempt=key[1]) for key in results]
    grant = Grant(job_id=waiting[0], attempt=waiting[1], grant_id=site.book.grant_id)
    envelope = SIGNER.seal_for(WORKER, pack([*receipts, grant]))
    assert envelope.content_encoding == "zstd"
    await agent.hears(envelope)
    assert site.book.held == 1
    assert [job.key for job in site.book.unfinished.ready(9)] == [waiting]
    with pytest.raises(LinkDown, match="enrol again"):
        await agent.hears(SIGNER.seal_for(WORKER, pack([Renew()])))
    assert await agent.reports() == []


@in_virtual_time
async def test_a_key_that_a_known_one_introduces_is_believed_without_a_link(site: VirtualSite) -> None:
    """As with jobs: the site has slept through a rotation."""
    second = SigningKey.made()
    agent = Agent(site)
    rotated = Signer({second.kid: second.raw, BRIDGE.kid: BRIDGE.raw}, [BRIDGE.introduce(second).text()])
    for number, signer in enumerate((rotated, SIGNER)):  # what the old one signed holds as well
        key = await site.finish(f"result {number}")
        await agent.hears(signer.seal_for(WORKER, pack([Receipt(job_id=key[0], attempt=key[1])])))
    assert (site.book.held, await agent.reports()) == (0, [])
    retired = Agent(site, keys=Keyring({second.kid: second.public}))
    await retired.hears(SIGNER.seal_for(WORKER, pack([Renew()])))
    assert len(await retired.reports()) == 1


@in_virtual_time
async def test_each_kind_is_reported_once_and_each_forgery_is_in_the_log(site: VirtualSite) -> None:
    agent = Agent(site)
    receipt, grant = (kind(job_id=JobId("j"), attempt=Attempt(1)) for kind in (Receipt, Grant))
    with capture_logs() as logs:
        for messages in ([receipt], [receipt], [receipt, grant], [grant], [], []):
            await agent.hears(unsigned(messages))
        await agent.hears(Envelope(b"noise", "zstd", {}))
    reports = await agent.reports()
    said = [one.reason.rpartition("it calls itself ")[2] for one in reports]
    assert said == ["receipt", "grant and receipt", "message"]
    assert [one["event"] for one in logs] == ["control.refused"] * 7
    assert reports[0].body == pack([receipt])


@in_virtual_time
async def test_of_a_large_one_the_beginning_is_reported(site: VirtualSite) -> None:
    """Else the report itself would be too large to travel."""
    agent = Agent(site)
    await agent.hears(Envelope(bytes(BODY_SHOWN_MAX), None, {}))
    (report,) = await agent.reports()
    assert report.body == bytes(BODY_SHOWN_MAX)
    other = Agent(site)
    await other.hears(Envelope(bytes(BODY_SHOWN_MAX + 1), None, {}))
    (report,) = await other.reports()
    assert report.body == bytes(BODY_CUT)
    assert report.reason.endswith(f"(first {BODY_CUT} of {BODY_SHOWN_MAX + 1} bytes)")


@in_virtual_time
async def test_what_was_true_once_does_no_harm_when_it_is_said_again(site: VirtualSite) -> None:
    """The broker may keep a signed word, and say it as often as it likes."""
    agent = Agent(site)
    asked = site.book.bridge_time.ask()
    settings = SIGNER.seal_for(WORKER, pack([Settings(wall_s=site.clock.wall_s(), hello_id=asked)]))
    await agent.hears(settings)
    known_s = site.book.bridge_time.ahead_s
    assert known_s is not None
    recorded, revoked = await site.finish("recorded"), await site.hold("revoked")
    words = [
        SIGNER.seal_for(WORKER, pack([message]))
        for message in (
            Receipt(job_id=recorded[0], attempt=recorded[1]),
            Revoke(job_id=revoked[0], attempt=revoked[1]),
        )
    ]
    for word in words:
        await agent.hears(word)
    next_result, next_try = await site.finish("next"), Attempt(revoked[1] + 1)
    again = Job(job_id=revoked[0], attempt=next_try, workspace="w", tag=Tag("t"), language="bash",
                code="", args=b"{}")  # fmt: skip
    await site.book.hold(again, pack([again]))
    await site.book.apply((again.job_id, next_try), Event.STARTED)
    await asyncio.sleep(3600)
    for word in (*words, settings):
        await agent.hears(word)
    assert site.book.bridge_time.ahead_s == known_s
    assert await site.spool.result(next_result) is not None
    assert site.book.get((again.job_id, next_try)) is not None
    assert await agent.reports() == []


@in_virtual_time
async def test_a_grant_of_old_starts_nothing_in_a_spool_that_was_made_anew(site: VirtualSite) -> None:
    """I2: the attempt was granted to this agent, and ran; its spool is lost, and the broker repeats all."""
    words = []
    for life in (site, VirtualSite(site.loop)):
        key = await life.hold("once", delivery=HowOften.AT_MOST_ONCE)
        agent = Agent(life)
        (accepted,) = [message for message in await agent.says() if isinstance(message, Accepted)]
        grant = Grant(job_id=key[0], attempt=key[1], grant_id=accepted.grant_id)
        for word in words:
            await agent.hears(word)
        assert life.book.unfinished.waiting() == [key]
        words.append(SIGNER.seal_for(WORKER, pack([grant])))
        await agent.hears(words[-1])
        assert life.book.unfinished.waiting() == []
