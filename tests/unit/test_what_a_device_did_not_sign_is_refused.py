"""What comes up in the name of a worker that has a device is that device's own, over either link."""

import hashlib
import json
import time
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.claims import Attempt, Claims, JobId, Tag, WorkerName
from agent.wire.messages import Accepted, Result
from agent.wire.routing import EVENTS, RESULTS
from bridge.devices.service import Shown
from bridge.errors import ChallengeNeeded
from tests.support.carrier import Carrier, collecting
from tests.support.cluster import Running, running_cluster

WORKER = WorkerName("ag-pos-till-a")
TILL, STRANGER = SigningKey.made(), SigningKey.made()


@dataclass
class Site:
    running: Running
    carrier: Carrier
    job_id: JobId
    bearer: str

    def accepted(self) -> Accepted:
        return Accepted(job_id=self.job_id, attempt=Attempt(1))

    def result(self) -> Result:
        return Result(
            job_id=self.job_id, attempt=Attempt(1), workspace="main", success=True, document=b"1",
        )  # fmt: skip


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    """A job is out, and its worker has a device."""
    async with running_cluster(tmp_path) as running, collecting(running, WORKER) as (carrier, job_id, _):
        yield Site(running, carrier, job_id, await bound(running, TILL))


async def bound(running: Running, device: SigningKey) -> str:
    """The bearer of a worker with this device, ticket and all."""
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + 3600}
    minted: str = (await running.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
    bearer = f"jwt_agent_till-a_{minted.removeprefix('jwt_agent_')}"
    claims = await running.cluster.devices.claims(bearer)
    assert isinstance(claims, Claims)
    shown = Shown(key=b64encode(device.public).decode())
    with pytest.raises(ChallengeNeeded) as asked:
        await running.cluster.devices.bind(bearer, claims, shown)
    shown.challenge = asked.value.challenge
    shown.signature = b64encode(device.sign(proofs.enrolment(shown.challenge))[1]).decode()
    return f"{bearer}~{await running.cluster.devices.bind(bearer, claims, shown)}"


async def test_over_the_broker(site: Site) -> None:
    assert await site.carrier.up(EVENTS, WORKER, site.accepted())  # unsigned
    assert await site.carrier.up(RESULTS, WORKER, site.result(), device=STRANGER)
    assert [reason.partition(":")[0] for _, reason in site.carrier.dead] == ["BadSignature"] * 2
    assert (await site.running.job(site.job_id))["type"] == "QueuedJob"
    assert await site.carrier.up(EVENTS, WORKER, site.accepted(), device=TILL)
    assert await site.carrier.up(RESULTS, WORKER, site.result(), device=TILL)
    assert (await site.running.job(site.job_id))["success"]
    assert len(site.carrier.dead) == 2


async def test_a_refusal_to_run_is_in_the_dead_letters_and_closes_the_job(site: Site) -> None:
    refused = Result(
        job_id=site.job_id, attempt=Attempt(1), workspace="main", success=False,
        document=b'{"name": "Expired", "message": "late"}', refused="Expired: late",
    )  # fmt: skip
    assert await site.carrier.up(RESULTS, WORKER, refused, device=TILL)
    assert [reason for _, reason in site.carrier.dead] == ["Expired: late"]
    assert (await site.running.job(site.job_id))["result"] == {
        "error": {"name": "Expired", "message": "late"}
    }


async def test_over_http(site: Site) -> None:
    pushed = await site.running.preview()
    agent = site.running.client(site.bearer)
    job = (await agent.post("/api/agent_workers/pull_job", content=b"null")).json()["job"]
    assert job["id"] == pushed
    body = json.dumps({"job": {}, "result": 1, "success": True}).encode()
    digest = hashlib.sha256(body).hexdigest()
    path = f"/api/w/main/agent_workers/send_result/{pushed}"
    for signature in (
        "",
        "noise",
        f"{TILL.kid}.####",
        proofs.result_signature(STRANGER.sign, pushed, digest),
        proofs.result_signature(TILL.sign, site.job_id, digest),  # another job's
        proofs.result_signature(TILL.sign, pushed, hashlib.sha256(b"{}").hexdigest()),
    ):
        answer = await agent.post(path, content=body, headers={proofs.SIGNATURE: signature})
        assert (answer.status_code, answer.text.partition(":")[0]) == (403, "BadSignature"), signature
    signature = proofs.result_signature(TILL.sign, pushed, digest)
    assert (await agent.post(path, content=body, headers={proofs.SIGNATURE: signature})).status_code == 200
    assert (await site.running.job(pushed))["success"]


async def test_a_worker_without_a_device_signs_nothing(site: Site) -> None:
    """A stock agent, or one of an older release."""
    assert await site.carrier.up(EVENTS, WorkerName("ag-pos-old"), site.accepted())
    assert site.carrier.dead == []
    assert Tag("bash") in (await site.running.cluster.devices.claims(site.bearer.partition("~")[0])).tags
