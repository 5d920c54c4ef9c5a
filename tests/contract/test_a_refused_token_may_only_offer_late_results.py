"""Over HTTP a late result with a refused token is kept for an operator; the answer is 401 all the same."""

import hashlib
import time
from base64 import b64encode
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.quarantine import ACCEPTED, ASK, HEADER, KEPT, REJECTED, UNWANTED, WANTED
from agent.wire.tokens import bearer_of, with_ticket
from bridge.agents.offered import BURST, PER_S, Pace
from bridge.devices.service import Shown
from bridge.errors import BadRequest, ChallengeNeeded
from bridge.relay.ledger import Ledger
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.shelf import BYTES_MAX, RESULTS_MAX, SQL, Kept, Shelf
from bridge.relay.sources.local import LocalSource
from tests.support.carrier import enrolled, taken
from tests.support.cluster import MovedClock, Running

ALL = "/api/agent_workers"
SUFFIX = "till-a1b2c"
WORKER = WorkerName(f"ag-pos-{SUFFIX}")
LATE = {"success": True, "result": "late", "duration": 5}


@dataclass(slots=True)
class Site:
    """An agent, whose token is taken away in the end."""

    running: Running
    token: str
    client: httpx.AsyncClient

    async def pull(self) -> str:
        job: str = (await self.client.post(f"{ALL}/pull_job", json=None)).json()["job"]["id"]
        return job

    async def revoke(self) -> None:
        """As the bridge carries it out."""
        await self.running.admin.post(f"{ALL}/blacklist_token", json={"token": self.token})
        await self.running.cluster.holding.take_from(WORKER, "its token was revoked", is_trusted=False)

    async def say(self, job: str, body: dict[str, Any] | None = None, **headers: str) -> str:
        """How it stands; every answer is 401."""
        answer = await self.client.post(_place(job), json=body or LATE, headers=headers)
        assert answer.status_code == 401
        assert ("waits in quarantine" in answer.text) == (answer.headers.get(HEADER) == KEPT)
        return answer.headers.get(HEADER, "")

    async def ask(self, job: str, attempt: int = 1) -> str:
        answer = await self.client.post(_place(job), headers={HEADER: ASK}, params={"attempt": attempt})
        assert answer.status_code == 401
        return answer.headers.get(HEADER, "")

    @property
    def quarantine(self) -> Quarantine:
        ledger, source = self.ledger, LocalSource(self.running.cluster.jobs)
        holds = self.running.cluster.tokens.blacklist.holds
        return Quarantine(ledger, Recorder(source, ledger, self.running.clock), holds, source.record)

    @property
    def ledger(self) -> Ledger:
        return Ledger(self.running.store, self.running.clock)


def _place(job: str, workspace: str = "main") -> str:
    return f"/api/w/{workspace}/agent_workers/send_result/{job}"


def kept(job: str, attempt: int = 1) -> Kept:
    return Kept(JobId(job), Attempt(attempt), WORKER)


@pytest.fixture
async def site(cluster: Running) -> Site:
    return await site_at(cluster)


async def site_at(cluster: Running, lives_s: int = 3600) -> Site:
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + lives_s}
    token: str = (await cluster.admin.post(f"{ALL}/create_agent_token", json=body)).json()
    return Site(cluster, token, cluster.client(bearer_of(token, SUFFIX)))


@pytest.mark.on_both_stores
async def test_it_is_kept_and_the_job_goes_on_until_an_operator_accepts(cluster: Running, site: Site) -> None:
    await cluster.preview()
    job = await site.pull()
    await site.revoke()
    assert await site.ask(job) == WANTED
    assert [await site.say(job), await site.say(job, {"success": False}), await site.ask(job)] == [KEPT] * 3
    assert (await cluster.job(job))["type"] == "QueuedJob"
    (row,) = await site.quarantine.listed()
    assert (row["worker"], row["attempt"], row["link"], row["bytes"]) == (WORKER, 1, "http", 6)
    assert (row["decision"], row["may_accept"]) == (None, 1)
    again = await site_at(cluster, 7200)  # the job runs elsewhere meanwhile
    assert await again.pull() == job
    await site.quarantine.accept(kept(job), "ana")
    assert (await cluster.job(job))["result"] == "late"
    assert (await again.client.post(_place(job), json=LATE)).content == b'"already"'
    assert [await site.ask(job), await site.say(job)] == [ACCEPTED] * 2


async def test_so_it_is_when_the_token_has_expired(cluster: Running, site: Site) -> None:
    """And no end was carried out yet: the job is the worker's still."""
    await cluster.preview()
    job = await site.pull()
    cluster.clock.ahead_s = 3601
    assert await site.say(job) == KEPT
    assert (await cluster.job(job))["running"]


@pytest.mark.on_both_stores
async def test_a_job_that_has_ended_keeps_its_end(cluster: Running, site: Site) -> None:
    await cluster.preview(delivery="at_most_once")
    job = await site.pull()
    await site.revoke()
    assert await site.say(job) == KEPT
    (row,) = await site.quarantine.listed()
    assert row["may_accept"] == 0
    with pytest.raises(BadRequest, match="keeps its recorded result"):
        await site.quarantine.accept(kept(job), "ana")
    assert await site.quarantine.document(kept(job)) == b'"late"'
    await site.quarantine.reject(kept(job), "ana")
    assert await site.ask(job) == REJECTED
    assert (await cluster.job(job))["result"]["error"]["name"] == "CustodianLost"  # type: ignore[index] # a JSON object


@pytest.mark.on_both_stores
async def test_nothing_is_kept_of_jobs_that_the_worker_never_lost(cluster: Running, site: Site) -> None:
    for _ in range(3):
        await cluster.preview()
    recorded, lost = await site.pull(), await site.pull()
    (never,) = {job["id"] for job in (await cluster.admin.get("/api/w/main/jobs/list")).json()} - {
        recorded,
        lost,
    }
    assert (await site.client.post(_place(recorded), json=LATE)).is_success
    await site.revoke()
    assert [await site.say(job) for job in (recorded, never, "no such job")] == [UNWANTED] * 3
    assert await site.ask(lost, attempt=2) == UNWANTED
    elsewhere = await site.client.post(_place(lost, "other"), json=LATE)
    assert (elsewhere.status_code, elsewhere.headers[HEADER]) == (401, UNWANTED)
    assert await site.quarantine.listed() == []


async def test_nothing_is_said_to_who_proves_nothing(cluster: Running, site: Site) -> None:
    await cluster.preview()
    job = await site.pull()
    await site.revoke()
    forged = site.token[:-4] + ("AAAA" if site.token[-4:] != "AAAA" else "BBBB")
    for bearer in (bearer_of(forged, SUFFIX), "x", None):
        answer = await cluster.client(bearer).post(_place(job), json=LATE)
        assert (answer.status_code, HEADER in answer.headers) == (401, False)
    assert await site.quarantine.listed() == []


@pytest.mark.parametrize("body", [{"success": 1}, LATE | {"result_sha256": "0" * 64}])
async def test_what_cannot_be_read_whole_is_not_kept(
    cluster: Running, site: Site, body: dict[str, Any]
) -> None:
    await cluster.preview()
    job = await site.pull()
    await site.revoke()
    assert await site.say(job, body) == ""
    assert await site.ask(job) == WANTED


async def test_a_device_has_to_show_itself(cluster: Running, site: Site) -> None:
    """By its ticket, however old, and by its signature."""
    till = SigningKey.made()
    bearer = bearer_of(site.token, SUFFIX)
    site.client = cluster.client(with_ticket(bearer, await bound(cluster, bearer, till)))
    await cluster.preview()
    job = await site.pull()
    await site.revoke()
    cluster.clock.ahead_s = 8 * 86_400
    content = b'{"success": true, "result": 1}'
    digest = hashlib.sha256(content).hexdigest()
    good = {proofs.SIGNATURE: proofs.result_signature(till.sign, job, digest)}
    strange = {proofs.SIGNATURE: proofs.result_signature(SigningKey.made().sign, job, digest)}
    copied = cluster.client(bearer)
    for client, headers in ((copied, good), (site.client, strange), (site.client, {})):
        answer = await client.post(_place(job), content=content, headers=headers)
        assert (answer.status_code, HEADER in answer.headers) == (401, False)
    answer = await site.client.post(_place(job), content=content, headers=good)
    assert (answer.status_code, answer.headers[HEADER]) == (401, KEPT)


async def bound(cluster: Running, bearer: str, device: SigningKey) -> str:
    """The ticket of a device that has enrolled."""
    devices = cluster.cluster.devices
    claims = await devices.claims(bearer)
    assert claims is not None
    key = b64encode(device.public).decode()
    with pytest.raises(ChallengeNeeded) as asked:
        await devices.bind(bearer, claims, Shown(key))
    _, signature = device.sign(proofs.enrolment(asked.value.challenge))
    shown = Shown(key, asked.value.challenge, b64encode(signature).decode())
    return await devices.bind(bearer, claims, shown)


@pytest.mark.on_both_stores
async def test_with_a_new_token_it_may_not_end_what_was_taken_from_it_either(
    cluster: Running, site: Site
) -> None:
    """What it takes with that one it may."""
    await cluster.preview()
    taken_from_it = await site.pull()
    await site.revoke()
    again = await site_at(cluster, 7200)
    answer = await again.client.post(_place(taken_from_it), json=LATE)
    assert (answer.status_code, answer.content) == (200, b'"quarantined"')
    assert [row["job_id"] for row in await again.quarantine.listed()] == [taken_from_it]
    assert await again.pull() == taken_from_it
    assert (await again.client.post(_place(taken_from_it), json=LATE)).content == b'"recorded"'


async def test_for_that_there_is_always_room(cluster: Running, site: Site) -> None:
    """Its sender lets go of it when it is answered."""
    await cluster.preview()
    job = await site.pull()
    await site.revoke()
    assert await Shelf(cluster.store, cluster.clock).offer(kept("large"), b"", bytes(BYTES_MAX)) == KEPT
    answer = await (await site_at(cluster, 7200)).client.post(_place(job), json=LATE)
    assert (answer.status_code, answer.content) == (200, b'"quarantined"')
    assert await site.quarantine.document(kept(job)) == b'"late"'


async def test_what_was_taken_over_the_broker_is_offered_here_too(cluster: Running, site: Site) -> None:
    ledger, source = site.ledger, LocalSource(cluster.cluster.jobs)
    custody = await taken(cluster, source, ledger)
    await enrolled(ledger, WORKER, "bash")
    assert await ledger.accept((custody.job_id, Attempt(1)), WORKER)
    await site.revoke()
    assert await site.say(custody.job_id) == KEPT
    await site.quarantine.accept(kept(custody.job_id), "ana")
    assert (await cluster.job(custody.job_id))["result"] == "late"
    assert [(row["state"], row["outcome"]) for row in await ledger.custody()] == [("closed", "success")]


@pytest.mark.on_both_stores
async def test_a_worker_has_room_for_so_much(cluster: Running) -> None:
    shelf = Shelf(cluster.store, cluster.clock)
    rows = [
        {"job_id": str(number), "attempt": 1, "worker": WORKER, "now": 0, "result": b"", "document": b"1",
         "link": "http"}
        for number in range(RESULTS_MAX - 1)
    ]  # fmt: skip
    await cluster.store.write(lambda db: db.executemany(SQL["keep"], rows))
    assert await shelf.offer(kept("large"), b"", bytes(BYTES_MAX)) == ""
    assert [await shelf.offer(kept("last"), b"", document) for document in (b"1", b"2")] == [KEPT] * 2
    assert (await shelf.offer(kept("more"), b"", b"1"), await shelf.standing(kept("more"))) == ("", "")
    other = Kept(JobId("more"), Attempt(1), WorkerName("ag-pos-other"))
    assert await shelf.offer(other, b"", b"1") == KEPT
    await shelf.decide(kept("0"), REJECTED, "ana")
    assert await shelf.offer(kept("more"), b"", b"1") == KEPT
    cluster.clock.ahead_s = 91 * 86_400
    await shelf.prune()
    assert await shelf.listed() == []


async def test_what_came_without_its_document_is_made_whole(cluster: Running) -> None:
    """Its parts never came over the broker; over HTTP the agent brings it whole."""
    other = kept("another")
    shelf = Shelf(cluster.store, cluster.clock)
    await shelf.keep(other, b"", None)
    assert await shelf.standing(other) == WANTED
    assert await shelf.offer(other, b"", b"1") == KEPT
    row = await shelf.undecided(other)
    assert row is not None
    assert row["document"] == b"1"


async def test_a_worker_is_heard_so_often() -> None:
    clock = MovedClock()
    pace = Pace(PER_S, BURST, clock)
    assert sum(pace.may(WORKER) for _ in range(BURST + 10)) == BURST
    assert pace.may(WorkerName("ag-pos-other"))
    clock.ahead_s += 1.001 / PER_S
    assert pace.may(WORKER)
