"""What agents send up incomplete, out of place or about jobs of others changes nothing that stands."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import (
    Accepted,
    Blob,
    Bye,
    Grant,
    Hello,
    Log,
    Ping,
    Rejected,
    Result,
    Settings,
)
from agent.wire.routing import EVENTS, LOGS, RESULTS
from bridge.errors import BrokerDown
from bridge.relay.ledger import Ledger
from bridge.relay.lost import GIVEN_UP_MAX
from bridge.relay.sources.local import LocalSource
from tests.support.carrier import Carrier, collecting, taken
from tests.support.cluster import Running, running_cluster

SHOP = WorkerName("ag-shop-a")
OTHER = WorkerName("ag-shop-b")
DOCUMENT = b'"large"'


@dataclass
class Relay:
    running: Running
    ledger: Ledger
    carrier: Carrier
    job_id: JobId
    collecting: "asyncio.Task[None]"

    def result(self, **about: object) -> Result:
        return Result(job_id=self.job_id, attempt=Attempt(1), workspace="main", success=True, **about)


@pytest.fixture
async def relay(tmp_path: Path) -> AsyncIterator[Relay]:
    """One job is out, and the shop has accepted it."""
    async with running_cluster(tmp_path) as running, collecting(running, SHOP) as (carrier, job_id, task):
        made = Relay(running, Ledger(running.store, running.clock), carrier, job_id, task)
        assert await carrier.up(EVENTS, SHOP, Accepted(job_id=job_id, attempt=Attempt(1)))
        yield made


async def state_of(relay: Relay) -> str:
    (row,) = await relay.ledger.custody()
    return str(row["state"])


async def test_what_another_agent_says_it_does_not_hold_stays_with_its_custodian(relay: Relay) -> None:
    rejected = Rejected(reason="not mine", job_id=relay.job_id, attempt=1)
    assert await relay.carrier.up(EVENTS, OTHER, rejected)
    assert await state_of(relay) == "accepted"
    assert [reason for _, reason in relay.carrier.dead] == ["not mine"]


async def test_what_its_custodian_does_not_hold_any_more_goes_out_again_but_not_for_ever(
    relay: Relay,
) -> None:
    for attempt in range(1, GIVEN_UP_MAX + 1):
        assert await relay.carrier.up(EVENTS, SHOP, Accepted(job_id=relay.job_id, attempt=Attempt(attempt)))
        rejected = Rejected(reason="it rots", job_id=relay.job_id, attempt=attempt)
        assert await relay.carrier.up(EVENTS, SHOP, rejected)
        assert await relay.carrier.up(EVENTS, SHOP, rejected)  # once more changes nothing
    assert {row["state"] for row in await relay.ledger.custody()} == {"closed"}
    error = (await relay.running.job(relay.job_id))["result"]["error"]
    assert error == {
        "name": "Rejected",
        "message": f"{SHOP}: it rots; given up after {GIVEN_UP_MAX} attempts",
    }


async def test_what_cannot_be_read_or_belongs_to_no_job_ends_in_the_dead_letters(relay: Relay) -> None:
    assert await relay.carrier.up_raw(EVENTS, SHOP, b"noise")
    assert await relay.carrier.up(EVENTS, SHOP, Rejected(reason="who knows which", body=b"noise"))
    result = replace(relay.result(document=b"1"), job_id=JobId("nobody's"))
    assert await relay.carrier.up(RESULTS, SHOP, result)
    said = [reason for _, reason in relay.carrier.dead]
    assert said[0].startswith("Malformed: ")
    assert said[1:] == ["who knows which", "a result of a job that is not in the ledger"]
    assert await state_of(relay) == "accepted"


async def test_a_bye_is_written_down_and_ends_nothing(relay: Relay) -> None:
    assert await relay.carrier.up(EVENTS, SHOP, Bye(held=1))
    (agent,) = await relay.ledger.agents()
    assert agent["left_at"] is not None
    assert await state_of(relay) == "accepted"


async def test_a_hello_of_an_older_agent_asks_for_no_answer(relay: Relay) -> None:
    old = Hello(worker=SHOP, version="0", slots=1, held=1, backlog=0, wall_s=0.0)
    assert await relay.carrier.up(EVENTS, SHOP, old)
    assert relay.carrier.told == []
    new = Hello(worker=SHOP, version="0", slots=1, held=1, backlog=0, wall_s=0.0, hello_id="asked")
    assert await relay.carrier.up(EVENTS, SHOP, new)
    (answer,) = relay.carrier.told
    assert isinstance(answer, Settings)
    assert answer.hello_id == "asked"


async def test_what_is_out_of_place_is_passed_over(relay: Relay) -> None:
    grant = Grant(job_id=relay.job_id, attempt=Attempt(1))
    assert await relay.carrier.up(EVENTS, SHOP, grant)
    log = Log(job_id=relay.job_id, attempt=Attempt(1), offset=0, text="said\n")
    assert await relay.carrier.up(LOGS, SHOP, Ping(held=1, running=1, backlog=0, wall_s=0.0), log)
    assert await state_of(relay) == "accepted"
    assert await relay.ledger.log_chars((relay.job_id, Attempt(1)), SHOP) == len(log.text)


@pytest.mark.parametrize(("of", "becomes"), [("ours", "closed"), ("nobody's", "accepted")])
async def test_a_result_that_cannot_be_answered_ends_the_session_and_comes_again(
    relay: Relay, of: str, becomes: str
) -> None:
    """What is recorded is late then; what is in no ledger goes to the dead letters then."""
    relay.carrier.is_down = True
    result = relay.result(document=b"1")
    result = result if of == "ours" else replace(result, job_id=JobId("nobody's"))
    sending = asyncio.ensure_future(relay.carrier.up(RESULTS, SHOP, result))
    with pytest.raises(ExceptionGroup) as ended:
        await relay.collecting
    assert ended.group_contains(BrokerDown, depth=1)
    assert await state_of(relay) == becomes
    assert not sending.done()
    sending.cancel()


async def test_a_large_result_waits_for_its_parts(relay: Relay) -> None:
    sha256 = hashlib.sha256(DOCUMENT).hexdigest()
    sending = asyncio.ensure_future(
        relay.carrier.up(RESULTS, SHOP, relay.result(blob_sha256=sha256, blob_parts=1))
    )
    part = Blob(job_id=relay.job_id, attempt=Attempt(1), sha256=sha256, index=0, of=1, part=DOCUMENT)
    assert await relay.carrier.up(RESULTS, SHOP, part)
    assert await sending
    assert (await relay.running.job(relay.job_id))["result"] == "large"


async def test_nobody_has_a_word_to_say_about_a_job_whose_tag_it_does_not_hold(relay: Relay) -> None:
    """I4: whoever knows a job's id can name it, and that is all."""
    waits = await taken(relay.running, LocalSource(relay.running.cluster.jobs), relay.ledger)
    key = {"job_id": waits.job_id, "attempt": waits.attempt}
    assert await relay.carrier.up(EVENTS, OTHER, Accepted(**key))
    assert await relay.carrier.up(EVENTS, OTHER, Rejected(reason="not mine", **key))
    unproved = Rejected(reason="no", claimed_job_id=waits.job_id, claimed_attempt=waits.attempt, body=b"")
    assert await relay.carrier.up(EVENTS, OTHER, unproved)
    assert await relay.carrier.up(LOGS, OTHER, Log(**key, offset=0, text="forged"))
    for result in (Result(**key, workspace="main", success=True), relay.result()):
        assert await relay.carrier.up(RESULTS, OTHER, result)
    assert {row["state"] for row in await relay.ledger.custody()} == {"taken", "accepted"}
    logged = await relay.running.admin.get(f"/api/w/main/jobs_u/get_logs/{waits.job_id}")
    assert logged.text == ""
    assert [reason for _, reason in relay.carrier.dead][2:] == [
        "a result of a job that is not this agent's"
    ] * 2


async def test_what_the_broker_does_not_vouch_for_has_no_sender(relay: Relay) -> None:
    forged = relay.result(document=b'"forged"')
    assert await relay.carrier.up_raw(RESULTS, SHOP, pack([forged]), login="ag-shop-b@token")
    assert await relay.carrier.up_raw(RESULTS, SHOP, pack([forged]), login="")
    assert [reason for _, reason in relay.carrier.dead] == ["the broker does not vouch for its sender"] * 2
    assert await state_of(relay) == "accepted"
