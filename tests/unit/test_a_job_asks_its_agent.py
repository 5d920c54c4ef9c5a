"""What a job asks over HTTP its agent answers while the cluster is out of reach; the rest is passed on."""

import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.changes import Changes
from agent.clock import SystemClock
from agent.errors import LinkDown
from agent.job_api.forwarding import Forwarding
from agent.job_api.http import Reply, Request, served, text_reply
from agent.job_api.service import STATE_MAX_BYTES, JobApi
from agent.jobs.serving import Served
from agent.sealed_values import seal
from agent.spool.spool import Spool
from agent.tls.outbound import SYSTEM
from agent.trust import SigningKey
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Job

STATE = "u/admin/stock/user"
IN = "/api/w/main"


@dataclass
class Cluster:
    """The far end: what came through to it, unless it is cut off."""

    is_there: bool = False
    asked: list[Request] = field(default_factory=list)

    async def pass_on(self, request: Request) -> Reply:
        if not self.is_there:
            raise LinkDown("no route to host")
        self.asked.append(request)
        return text_reply(f"the cluster: {request.method} {request.target}")


@dataclass
class Site:
    spool: Spool
    api: JobApi
    cluster: Cluster
    device: SigningKey
    told: Changes

    def job(self, number: int = 1, **more: Any) -> Job:
        known = {
            "job_id": JobId(f"job-{number}"),
            "attempt": Attempt(1),
            "workspace": "main",
            "tag": Tag("pos"),
            "language": "python3",
            "code": "",
            "args": b"{}",
            "token": f"token-{number}",
            "dispatched_at": 100.0 * number,
            "env": {"WM_STATE_PATH": STATE},
            "takes_states": True,
        }
        return Job(**(known | more))

    @contextmanager
    def running(self, job: Job) -> Iterator[tuple[httpx.AsyncClient, Served]]:
        with self.api.serve(job) as here:
            address = here.env["BASE_INTERNAL_URL"]
            headers = {"Authorization": f"Bearer {job.token}"}
            yield httpx.AsyncClient(base_url=address + IN, headers=headers, trust_env=False), here


@pytest.fixture
async def site(tmp_path: Path) -> AsyncIterator[Site]:
    spool = await Spool.open(tmp_path / "spool", SystemClock())
    cluster, device, told = Cluster(), SigningKey.made(), Changes()
    api = JobApi(
        spool.script_states,
        cluster.pass_on,
        SystemClock(),
        told,
        device,
        link_is_up=lambda: cluster.is_there,
        pings_carry=lambda: True,
    )
    async with api.listening():
        yield Site(spool, api, cluster, device, told)
    await spool.close()


async def set_state(client: httpx.AsyncClient, value: object) -> httpx.Response:
    """As the SDK does it."""
    if (await client.get(f"/resources/get/{STATE}")).status_code == 404:
        body = {"path": STATE, "value": value, "resource_type": "state"}
        return await client.post("/resources/create", json=body)
    return await client.post(f"/resources/update_value/{STATE}", json={"value": value})


async def test_the_next_run_finds_what_the_last_one_set(site: Site) -> None:
    with site.running(site.job(1)) as (client, here):
        assert (await client.get(f"/resources/get_value_interpolated/{STATE}")).status_code == 404
        assert (await client.get(f"/resources/exists/{STATE}")).status_code == 404
        assert (await set_state(client, {"runs": 1})).is_success
        assert here.has_set_state
        assert (await client.get(f"/resources/exists/{STATE}")).json() is True
    with site.running(site.job(2)) as (client, here):
        assert (await client.get(f"/resources/get_value_interpolated/{STATE}")).json() == {"runs": 1}
        assert not here.has_set_state
        assert (await set_state(client, [2])).is_success
        found = (await client.get(f"/resources/get/{STATE}")).json()
        assert (found["value"], found["resource_type"]) == ([2], "state")
    assert await site.spool.script_states.set_by((JobId("job-2"), Attempt(1))) == {STATE: "[2]"}
    assert await site.spool.script_states.set_by((JobId("job-1"), Attempt(1))) == {}
    assert not site.cluster.asked


async def test_the_later_writer_is_believed(site: Site) -> None:
    with site.running(site.job(2)) as (client, _):
        await set_state(client, "here")
    earlier = {"state": '"elsewhere"', "state_since": 150.0}
    later = earlier | {"state_since": 250.0}
    for told, expected in ((earlier, "here"), (later, "elsewhere")):
        with site.running(site.job(3, **told)) as (client, _):
            assert (await client.get(f"/resources/get_value/{STATE}")).json() == expected
    with site.running(site.job(1)) as (client, _):  # handed out before job 2, and slower
        await set_state(client, "late")
    with site.running(site.job(4)) as (client, _):
        assert (await client.get(f"/resources/get_value/{STATE}")).json() == "here"


async def test_a_cluster_that_takes_no_states_is_told_at_once_when_it_can_be_reached(site: Site) -> None:
    plain = site.job(1, takes_states=False)
    with site.running(plain) as (client, _):
        assert (await set_state(client, 1)).status_code == 201
        site.cluster.is_there = True
        answer = await client.post(f"/resources/update_value/{STATE}", json={"value": 2})
        assert answer.text == f"the cluster: POST {IN}/resources/update_value/{STATE}"
        assert (await client.get(f"/resources/get_value/{STATE}")).text.startswith("the cluster")
        site.cluster.is_there = False
        assert (await client.get(f"/resources/get_value/{STATE}")).json() == 2


async def test_a_state_that_is_too_large_is_refused_by_name(site: Site) -> None:
    with site.running(site.job()) as (client, _):
        answer = await set_state(client, "x" * STATE_MAX_BYTES)
        assert answer.status_code == 413
        assert "keep large data in a file" in answer.text
        assert (await set_state(client, "x")).is_success


async def test_what_came_with_the_job_is_answered_and_hidden(site: Site) -> None:
    values = {"$var:f/shop/key": "s3cr3t", "$res:f/shop/db": {"password": "pa55word", "port": 1}}
    sealed = seal(JobId("job-1"), values, {site.device.kid: site.device.public})
    why = {"$var:f/shop/none": "it is not marked for offline use"}
    job = site.job(sealed=sealed.values, sealed_for=dict(sealed.for_devices), withheld=why)
    with site.running(job) as (client, here):
        assert set(here.hidden) == {"s3cr3t", "pa55word"}
        assert (await client.get("/variables/get_value/f/shop/key")).json() == "s3cr3t"
        assert (await client.get("/resources/get_value_interpolated/f/shop/db")).json()["port"] == 1
        missed = await client.get("/variables/get_value/f/shop/none")
        assert missed.status_code == 503
        assert "variable f/shop/none is not at this site: it is not marked" in missed.text
        unnamed = await client.get("/resources/get_value/f/shop/other")
        assert "name it in the script as text, and set `offline` of the resource" in unnamed.text
        site.cluster.is_there = True  # whose value is the newest
        assert (await client.get("/variables/get_value/f/shop/key")).text.startswith("the cluster")
    other = replace(job, job_id=JobId("job-9"))
    with site.running(other) as (client, here):
        assert here.hidden == ()


async def test_progress_goes_with_the_pings_for_as_long_as_the_job_runs(site: Site) -> None:
    version = site.told.version
    with site.running(site.job()) as (client, _):
        assert (await client.get("/jobs_u/get/job-1")).json()["running"] is True
        assert (await client.post("/job_metrics/set_progress/job-1", json={"percent": 42})).is_success
        assert site.told.version > version
        assert (await client.get("/job_metrics/get_progress/job-1")).json() == 42
        assert site.api.progress() == {"job-1": "42"}
        for wrong in (101, -1, "5", True, None):
            answer = await client.post("/job_metrics/set_progress/job-1", json={"percent": wrong})
            assert answer.status_code == 400
        other = await client.post("/job_metrics/set_progress/job-2", json={"percent": 1})
        assert other.status_code == 503  # another job's is the cluster's to know
    assert site.api.progress() == {}


async def test_only_jobs_that_run_here_are_answered(site: Site) -> None:
    with site.running(site.job()) as (client, _):
        strange = await client.get(f"/resources/get_value/{STATE}", headers={"Authorization": "Bearer x"})
        assert strange.status_code == 401
        assert (await client.get("/users/whoami")).status_code == 503
    assert (await client.get(f"/resources/get_value/{STATE}")).status_code == 401


async def test_odd_requests_end_their_own_connection_only(site: Site) -> None:
    with site.running(site.job()) as (client, _):
        await set_state(client, 1)
        for odd in (b"not json", b"[1]", b'"text"', b"{}"):
            answer = await client.post(f"/resources/update_value/{STATE}", content=odd)
            assert answer.status_code == 503  # the cluster would have said what is wrong with it
        large = await client.post("/resources/create", content=b"x" * (33 * 1024 * 1024))
        assert large.status_code == 413
        assert (await client.get(f"/resources/get_value/{STATE}")).json() == 1


@asynccontextmanager
async def far_cluster(asked: list[Request]) -> AsyncIterator[str]:
    async def answer(request: Request) -> Reply:
        asked.append(request)
        return Reply(207, json.dumps({"echo": request.body.decode()}).encode(), "application/x-odd")

    async with served(answer) as address:
        yield address


async def test_what_is_passed_on_arrives_as_it_was() -> None:
    asked: list[Request] = []
    async with far_cluster(asked) as address:
        forwarding = Forwarding(lambda: address, SYSTEM)
        async with (
            served(forwarding.pass_on) as near,
            httpx.AsyncClient(base_url=near, trust_env=False) as job,
        ):
            headers = {"Authorization": "Bearer t", "X-Odd": "1"}
            answer = await job.put("/api/w/a%2Fb/x?y=%20z&y=2", content=b"body", headers=headers)
        await forwarding.close()
    assert (answer.status_code, answer.json()) == (207, {"echo": "body"})
    assert answer.headers["content-type"] == "application/x-odd"
    (came,) = asked
    assert (came.method, came.target) == ("PUT", "/api/w/a%2Fb/x?y=%20z&y=2")
    assert (came.headers["x-odd"], came.bearer) == ("1", "t")


async def test_a_cluster_out_of_reach_is_not_tried_for_every_call() -> None:
    async with far_cluster([]) as address:
        pass
    forwarding = Forwarding(lambda: address, SYSTEM)
    request = Request(method="GET", target="/", headers={}, body=b"")
    with pytest.raises(LinkDown, match="attempts failed") as first:
        await forwarding.pass_on(request)
    async with far_cluster(asked := []) as other:
        forwarding._cluster = lambda: other
        with pytest.raises(LinkDown) as second:
            await forwarding.pass_on(request)
    assert not asked
    assert str(first.value) == str(second.value)
    await forwarding.close()
