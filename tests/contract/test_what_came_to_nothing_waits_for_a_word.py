"""Dead letters and poison: kept within bounds, replayed by the ledger's rules, let go by who may."""

import hashlib
from typing import Any

import pytest

from agent.compression import compress
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import pack, seal
from agent.wire.messages import Accepted, Blob, Job, Rejected
from agent.wire.routing import EVENTS, RESULTS
from bridge.errors import BadRequest, NotFound
from bridge.relay.letters import BODY_MAX_BYTES, DeadLetters, LetterKind
from tests.support.burial import SHOP, Relay, letter, relay, result_of
from tests.support.carrier import enrolled

__all__ = ["relay"]

LARGE = b'"large"'
OTHER = WorkerName("ag-shop-b")


async def stray(relay: Relay, worker: WorkerName = SHOP, **about: Any) -> JobId:
    """A result came of a job that the ledger did not know, and that it knows by now."""
    job_id = JobId(await relay.running.preview(tag="bash"))
    assert await relay.carrier.up(RESULTS, worker, result_of(job_id, **about))
    pulled = await relay.source.pull(frozenset({Tag("bash")}))
    assert pulled is not None
    await relay.ledger.take(pulled.as_custody(Attempt(1)), b"")
    await enrolled(relay.ledger, SHOP, "bash")
    return job_id


@pytest.mark.on_both_stores
async def test_a_job_that_an_agent_refused_goes_out_again(relay: Relay) -> None:
    job_id = await relay.out()
    refused = Rejected(reason="BadSignature: torn", claimed_job_id=job_id, claimed_attempt=1, body=b"torn")
    assert await relay.carrier.up(EVENTS, SHOP, refused)
    assert await relay.states() == [(1, "closed"), (2, "taken")]
    letter = await relay.letter()
    shown = (
        "kind",
        "worker",
        "job_id",
        "attempt",
        "reason",
        "bytes",
        "has_body",
        "open_attempt",
        "custodian",
    )
    assert [letter[name] for name in shown] == [
        "job", SHOP, job_id, 1, "BadSignature: torn", 4, 0, 2, None,
    ]  # fmt: skip
    assert await relay.replay() == f"job {job_id} goes out again, as attempt 3"
    assert await relay.states() == [(1, "closed"), (2, "closed"), (3, "taken")]
    assert await relay.letters.listed() == []


async def test_a_job_that_somebody_holds_or_that_has_ended_goes_nowhere(relay: Relay) -> None:
    job_id = await relay.out()
    refused = Rejected(reason="TagNotHeld", claimed_job_id=job_id, claimed_attempt=1)
    assert await relay.carrier.up(EVENTS, SHOP, refused)
    assert await relay.carrier.up(EVENTS, SHOP, Accepted(job_id=job_id, attempt=Attempt(2)))
    with pytest.raises(BadRequest, match=f"is held by {SHOP}, as attempt 2"):
        await relay.replay()
    assert await relay.carrier.up(RESULTS, SHOP, result_of(job_id, attempt=Attempt(2)))
    with pytest.raises(BadRequest, match="has ended, and its recorded result stays"):
        await relay.replay()
    assert len(await relay.letters.listed()) == 1


async def test_a_job_that_is_accepted_in_this_moment_stays_where_it_is(relay: Relay) -> None:
    """I2: of two that decide at once one is first."""
    job_id = await relay.out()
    seen = await relay.ledger.find((job_id, Attempt(1)))
    assert seen is not None
    assert await relay.carrier.up(EVENTS, SHOP, Accepted(job_id=job_id, attempt=Attempt(1)))
    assert not await relay.lost.dispatch_again(seen, "an operator")
    held = await relay.ledger.find((job_id, Attempt(1)))
    assert held is not None
    assert not await relay.lost.dispatch_again(held, "an operator")
    assert await relay.states() == [(1, "accepted")]


async def test_a_job_whose_bytes_are_gone_goes_nowhere(relay: Relay) -> None:
    job_id = await relay.out()
    await relay.ledger.set_body((job_id, Attempt(1)), b"")
    await relay.letters.keep(letter(LetterKind.JOB, job_id))
    with pytest.raises(BadRequest, match="in this moment; look again"):
        await relay.replay()


@pytest.mark.on_both_stores
async def test_a_result_counts_once_its_job_is_known(relay: Relay) -> None:
    job_id = await stray(relay)
    found = await relay.letter()
    assert (found["kind"], found["worker"], found["has_body"]) == ("result", SHOP, 1)
    assert await relay.replay() == f"recorded as the result of job {job_id}"
    assert (await relay.running.job(job_id))["result"] == "stray"
    assert await relay.states() == [(1, "closed")]


async def test_a_result_of_an_unknown_job_stays_a_letter(relay: Relay) -> None:
    assert await relay.carrier.up(RESULTS, SHOP, result_of("nobody-knows"))
    with pytest.raises(BadRequest, match="still not in the ledger"):
        await relay.replay()


async def test_a_result_of_another_agents_job_stays_a_letter(relay: Relay) -> None:
    job_id = await relay.out()
    assert await relay.carrier.up(RESULTS, OTHER, result_of(job_id))
    with pytest.raises(BadRequest, match=f"{OTHER} never had job"):
        await relay.replay()
    assert await relay.states() == [(1, "taken")]


async def test_a_result_of_a_distrusted_agent_goes_to_quarantine(relay: Relay) -> None:
    job_id = await stray(relay)
    assert await relay.ledger.accept((job_id, Attempt(1)), SHOP)
    await relay.ledger.distrust(SHOP)
    assert "in quarantine now" in await relay.replay()
    (kept,) = await relay.quarantine.listed()
    assert (kept["job_id"], kept["worker"]) == (job_id, SHOP)


async def test_a_large_result_counts_while_its_parts_are_there(relay: Relay) -> None:
    sha256 = hashlib.sha256(LARGE).hexdigest()
    job_id = await stray(relay, document=b"", blob_sha256=sha256)
    with pytest.raises(BadRequest, match="the parts of this result are gone"):
        await relay.replay()
    part = Blob(job_id=job_id, attempt=Attempt(1), sha256=sha256, index=0, of=1, part=LARGE)
    assert await relay.carrier.up(RESULTS, SHOP, part)
    await relay.replay()
    assert (await relay.running.job(job_id))["result"] == "large"


async def test_a_result_of_a_job_that_has_one_is_late(relay: Relay) -> None:
    job_id = await stray(relay)
    await relay.ledger.close((job_id, Attempt(1)), "success")
    with pytest.raises(BadRequest, match="keeps its recorded result; this one is late"):
        await relay.replay()
    assert [row["late"] for row in await relay.ledger.custody()] == [1]


@pytest.mark.parametrize(
    ("body", "why"),
    [
        (b"", "was not kept whole"),
        (pack([Accepted(job_id=JobId("x"), attempt=Attempt(1))]), "there is no result in this letter"),
    ],
)
async def test_a_letter_that_holds_no_result(relay: Relay, body: bytes, why: str) -> None:
    await relay.letters.keep(letter(LetterKind.RESULT, "x", body=body))
    with pytest.raises(BadRequest, match=why):
        await relay.replay()


async def test_a_job_that_ended_without_a_run_has_its_result(relay: Relay) -> None:
    job_id = await relay.out()
    refused = result_of(job_id, success=False, document=b'{"name":"Expired"}', refused="its not_after passed")
    assert await relay.carrier.up(RESULTS, SHOP, refused)
    assert (await relay.letter())["kind"] == "unrun"
    with pytest.raises(BadRequest, match="run it again as a new job"):
        await relay.replay()


async def test_what_cannot_be_read_is_never_believed(relay: Relay) -> None:
    assert await relay.carrier.up_raw(RESULTS, SHOP, b"garbage")
    found = await relay.letter()
    assert (found["kind"], found["has_body"]) == ("message", 1)
    with pytest.raises(BadRequest, match="not believed the second time either"):
        await relay.replay()
    assert (await relay.letters.one(found["id"])).body == b"garbage"


async def test_what_the_broker_returned_names_its_job_by_its_own_bytes(relay: Relay) -> None:
    """Its headers are its sender's: what they say of a worker or a job is not read."""
    job_id = await relay.out()
    job = Job(job_id=job_id, attempt=Attempt(1), workspace="main", tag=Tag("bash"), language="bash", code="",
              args=b"{}")  # fmt: skip
    headers = {
        "x-death": "1", "x-first-death-reason": "delivery_limit", "x-first-death-queue": "orvanta.jobs.bash",
        "worker": "ag-liar", "job_id": "liar", "kind": "result",
    }  # fmt: skip
    sealed = seal(pack([job]), compress)
    await relay.carrier.give_back(sealed.body, headers, sealed.content_encoding)
    found = await relay.letter()
    assert (found["kind"], found["worker"], found["job_id"], found["has_body"]) == ("returned", "", job_id, 0)
    assert found["reason"] == "the broker took it out of orvanta.jobs.bash: delivery_limit"
    assert await relay.replay() == f"job {job_id} goes out again, as attempt 2"


@pytest.mark.parametrize(
    "body", [b"garbage", pack([Accepted(job_id=JobId("x"), attempt=Attempt(1))]), pack([])]
)
async def test_what_the_broker_returned_may_be_no_job(relay: Relay, body: bytes) -> None:
    await relay.carrier.give_back(body, {"x-death": "1"})
    with pytest.raises(BadRequest, match="this letter names no job"):
        await relay.replay()


async def test_a_letter_of_an_older_release_says_less(relay: Relay) -> None:
    await relay.carrier.give_back(b"x", {"reason": "Malformed\0", "worker": SHOP, "attempt": "many"})
    found = await relay.letter()
    assert (found["kind"], found["reason"], found["attempt"]) == ("message", "Malformed\ufffd", 0)


@pytest.mark.on_both_stores
async def test_the_same_again_only_counts(relay: Relay) -> None:
    for _ in range(3):
        assert await relay.carrier.up_raw(RESULTS, SHOP, b"garbage")
    assert (await relay.letter())["times"] == 3


@pytest.mark.on_both_stores
async def test_the_oldest_are_forgotten(relay: Relay) -> None:
    """I6: in number and in bytes."""
    letters = DeadLetters(relay.running.store, relay.running.clock, most=2)
    for number in range(3):
        body = b"x" * (BODY_MAX_BYTES + number)
        await letters.keep(letter(LetterKind.MESSAGE, str(number), body=body))
    found = await relay.letters.listed()
    assert [(one["job_id"], one["bytes"] - BODY_MAX_BYTES, one["has_body"]) for one in found] == [
        ("2", 2, 0), ("1", 1, 0),
    ]  # fmt: skip


@pytest.mark.on_both_stores
async def test_letters_are_found_and_let_go(relay: Relay) -> None:
    await relay.letters.keep(letter(LetterKind.JOB, "a"))
    await relay.letters.keep(letter(LetterKind.MESSAGE, "b"))
    await relay.letters.keep(letter(LetterKind.MESSAGE, "c", worker=OTHER))
    newest, middle, oldest = [one["id"] for one in await relay.letters.listed()]
    assert [one["id"] for one in await relay.letters.listed(kind="message", worker=OTHER)] == [newest]
    assert [one["id"] for one in await relay.letters.listed(before=newest, most=1)] == [middle]
    assert await relay.letters.counts() == {"job": 1, "message": 2}
    assert await relay.letters.discard_all(middle, kind="message") == 1
    await relay.letters.discard(newest)
    with pytest.raises(NotFound):
        await relay.letters.discard(newest)
    with pytest.raises(NotFound):
        await relay.letters.one(newest)
    assert [one["id"] for one in await relay.letters.listed()] == [oldest]


@pytest.mark.on_both_stores
async def test_poison_stands_among_them_whatever_its_link_was(relay: Relay) -> None:
    over_broker = await relay.out()
    assert await relay.carrier.up(EVENTS, SHOP, Accepted(job_id=over_broker, attempt=Attempt(1)))
    error = b'{"name":"Poison","message":"stopped 4 times"}'
    assert await relay.carrier.up(RESULTS, SHOP, result_of(over_broker, success=False, document=error))
    over_http = await relay.running.preview(tag="till")
    agent = await relay.running.agent("till")
    await agent.post("/api/agent_workers/pull_job")
    body = {"success": False, "result": {"name": "Poison", "message": "stopped 2 times"}, "job": {}}
    await agent.post(f"/api/w/main/agent_workers/send_result/{over_http}", json=body)
    found = {one["job_id"]: one for one in await relay.letters.listed(kind="poison")}
    assert found[over_broker]["worker"] == SHOP
    assert found[over_http]["worker"] == "ag-pos-till-a1b2c"
    assert [one["reason"] for one in found.values()] == ["stopped 2 times", "stopped 4 times"]
    with pytest.raises(BadRequest, match="run it again as a new job"):
        await relay.replays.replay(found[over_http]["id"])


@pytest.mark.parametrize(
    "result", ['"Poison"', {"name": "Other", "message": "Poison"}, {"name": "Poison" * 500}]
)
async def test_no_other_failure_is_poison(relay: Relay, result: object) -> None:
    job_id = await relay.running.preview(tag="till")
    agent = await relay.running.agent("till")
    await agent.post("/api/agent_workers/pull_job")
    body = {"success": False, "result": result, "job": {}}
    await agent.post(f"/api/w/main/agent_workers/send_result/{job_id}", json=body)
    assert await relay.letters.listed() == []


async def test_the_api_does_the_same(relay: Relay) -> None:
    job_id = await stray(relay)
    async with relay.api() as admin:
        (found,) = (await admin.get("/api/dead?kind=result")).json()["letters"]
        assert (
            await admin.post(f"/api/dead/{found['id']}/replay")
        ).json() == f"recorded as the result of job {job_id}"
        await relay.letters.keep(letter(LetterKind.MESSAGE, "gone"))
        (found,) = (await admin.get("/api/dead")).json()["letters"]
        assert (await admin.post(f"/api/dead/{found['id']}/replay")).status_code == 400
        assert (await admin.post(f"/api/dead/{found['id']}/discard")).json() is None
        assert (await admin.post(f"/api/dead/{found['id']}/discard")).status_code == 404
    async with relay.api(has_broker=False) as admin:
        assert (await admin.post("/api/dead/1/replay")).status_code == 400
