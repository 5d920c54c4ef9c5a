"""/dead: what each letter is and why, what may be done with it, and who did it."""

import re

import httpx
import pytest

from agent.wire.claims import Attempt
from agent.wire.messages import Accepted, Rejected
from agent.wire.routing import EVENTS, RESULTS
from bridge.relay.letters import LetterKind
from bridge.runs.carriage import Carriage
from tests.support.burial import SHOP, Relay, letter, relay, result_of
from tests.support.carrier import TOKEN
from tests.support.cluster import pages_of

__all__ = ["relay"]


def bridge_of(relay: Relay) -> httpx.AsyncClient:
    """The pages of a bridge with a broker."""
    running = relay.running
    carriage = Carriage(100, lambda: None, relay.replays)
    pages = pages_of(
        running.cluster, running.store, running.clock, running.signer, carriage, relay.quarantine
    )
    return relay.api(*pages.routes)


@pytest.mark.on_both_stores
async def test_the_page_replays_and_discards_and_the_audit_log_knows_it(relay: Relay) -> None:
    job_id = await relay.out()
    refused = Rejected(reason="<torn>", claimed_job_id=job_id, claimed_attempt=1)
    assert await relay.carrier.up(EVENTS, SHOP, refused)
    await relay.letters.keep(letter(LetterKind.MESSAGE, "gone"))
    async with bridge_of(relay) as admin:
        page = (await admin.get("/dead")).text
        assert "&lt;torn&gt;" in page
        job, message = (await relay.letters.listed())[::-1]
        assert f'data-sure="/dead/{job["id"]}/replay"' in page
        assert f'data-sure="/dead/{message["id"]}/replay"' not in page
        only = (await admin.get("/dead?kind=message")).text
        assert "&lt;torn&gt;" not in only
        refused_page = await admin.post(f"/dead/{message['id']}/replay")
        assert refused_page.status_code == 400
        assert "not believed the second time" in refused_page.text
        answer = await admin.post(f"/dead/{job['id']}/replay")
        assert (answer.status_code, answer.headers["location"].partition("?")[0]) == (303, "/dead")
        assert f"job {job_id} goes out again" in (await admin.get(answer.headers["location"])).text
        assert (await admin.post(f"/dead/{message['id']}/discard")).status_code == 303
        assert "Nothing is dead" in (await admin.get("/dead")).text
        assert (await admin.get("/dead?kind=other")).status_code == 400
    entries = (await relay.running.admin.get("/api/audit/list")).json()
    assert [(one["operation"], one["resource"]) for one in entries[:3]] == [
        ("dead.discard", str(message["id"])),
        ("dead.replay", str(job["id"])),
        ("dead.replay", str(message["id"])),
    ]


async def test_a_result_in_quarantine_is_decided_on_the_page(relay: Relay) -> None:
    job_id = await relay.out()
    assert await relay.carrier.up(EVENTS, SHOP, Accepted(job_id=job_id, attempt=Attempt(1)))
    relay.revoked.add(TOKEN)
    assert await relay.carrier.up(RESULTS, SHOP, result_of(job_id))
    async with bridge_of(relay) as admin:
        assert f"/dead/quarantine/{job_id}/1/{SHOP}/accept" in (await admin.get("/dead")).text
        run = (await admin.get(f"/run/{job_id}/custody")).json()
        assert run["why"].startswith(f"held by {SHOP}") or "running" in run["why"] or "starts" in run["why"]
        assert (await admin.post(f"/dead/quarantine/{job_id}/1/{SHOP}/accept")).status_code == 303
        again = await admin.post(f"/dead/quarantine/{job_id}/1/{SHOP}/reject")
        assert again.status_code == 400
        assert "In quarantine" not in (await admin.get("/dead")).text
    assert (await relay.running.job(job_id))["result"] == "stray"


async def test_without_a_broker_the_page_says_so(relay: Relay) -> None:
    """The bridge of `running` has none; poison stands there all the same."""
    await relay.letters.keep(letter(LetterKind.POISON, "killer"))
    admin = relay.running.admin
    page = (await admin.get("/dead")).text
    assert "This bridge has no broker" in page
    assert "killer" in page
    (found,) = await relay.letters.listed()
    assert (await admin.post(f"/dead/{found['id']}/replay")).status_code == 400
    assert (await admin.post("/dead/quarantine/x/1/ag-x/accept")).status_code == 400
    assert (
        await admin.post("/dead/discard", data={"upto": str(found["id"]), "kind": "poison"})
    ).status_code == 303
    assert await relay.letters.listed() == []


async def test_the_page_has_pages(relay: Relay) -> None:
    for number in range(101):
        await relay.letters.keep(letter(LetterKind.JOB, f"job-{number}"))
    admin = relay.running.admin
    first = (await admin.get("/dead")).text
    assert ("job-100<" in first, "job-1<" in first, "job-0<" in first) == (True, True, False)
    (older,) = re.findall(r'href="([^"]+)" rel="next"', first)
    second = (await admin.get(older.replace("&amp;", "&"))).text
    assert ("job-1<" in second, "job-0<" in second) == (False, True)
    assert "sse-connect" not in second  # what is older stays as it is
    assert "job-100<" in (await admin.get("/dead?before=soon")).text
