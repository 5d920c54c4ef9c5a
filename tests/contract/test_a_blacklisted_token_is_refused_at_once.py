"""blacklist_token ends an agent token on every endpoint at once; another process sees it in seconds."""

import asyncio
import time

import httpx
import pytest

from bridge.web.asgi import build
from bridge.web.cluster import open_cluster
from tests.support.cluster import BASE_URL, PASSWORD, Running, client_of
from tests.support.until import until

ALL = "/api/agent_workers"


async def minted(cluster: Running, lives_s: int = 3600) -> str:
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + lives_s}
    token: str = (await cluster.admin.post(f"{ALL}/create_agent_token", json=body)).json()
    return token


def wire(token: str, suffix: str = "till-a1b2c") -> str:
    return f"jwt_agent_{suffix}_{token.removeprefix('jwt_agent_')}"


async def answers(client: httpx.AsyncClient) -> int:
    return (await client.get(f"{ALL}/get_min_version")).status_code


async def test_it_is_refused_on_the_next_request(cluster: Running) -> None:
    token = await minted(cluster)
    agents = [cluster.client(wire(token)), cluster.client(wire(token, "other-q1w2e"))]
    bystander = cluster.client(wire(await minted(cluster, 7200)))
    assert [await answers(one) for one in (*agents, bystander)] == [200, 200, 200]
    listed = await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": token})
    assert (listed.status_code, listed.content) == (200, b"null")
    assert [await answers(one) for one in (*agents, bystander)] == [401, 401, 200]
    refused = await agents[0].post(f"{ALL}/pull_job", json=None)
    assert (refused.status_code, refused.text) == (401, "Unauthorized")


@pytest.mark.on_both_stores
async def test_another_process_on_the_store_sees_it_in_seconds(cluster: Running) -> None:
    other = await open_cluster(cluster.store, cluster.clock, BASE_URL, PASSWORD)
    token = await minted(cluster)
    agent = client_of(build(other.routes), wire(token))
    assert await answers(agent) == 200
    await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": token})
    cluster.clock.ahead_s = 2
    assert await answers(agent) == 401


async def test_a_signature_that_is_written_in_another_way_opens_nothing(cluster: Running) -> None:
    """base64 may end in padding, or not."""
    token = await minted(cluster)
    spellings = [cluster.client(wire(one)) for one in (token, f"{token}=")]
    assert [await answers(one) for one in spellings] == [200, 200]
    await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": token})
    assert [await answers(one) for one in spellings] == [401, 401]


@pytest.mark.parametrize("path", ["pull_job", "held_jobs"])
async def test_whoever_waits_for_a_job_is_sent_away(cluster: Running, path: str) -> None:
    token = await minted(cluster)
    body = {"pull_job": None, "held_jobs": {"jobs": []}}[path]
    waiting = asyncio.ensure_future(
        cluster.client(wire(token)).post(f"{ALL}/{path}", json=body, headers={"Prefer": "wait=60"})
    )
    await until(lambda: cluster.cluster.tokens.blacklist.news.is_watched)
    await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": token})
    async with asyncio.timeout(20):
        assert (await waiting).status_code == 401


@pytest.mark.parametrize("spelling", ["minted", "bare", "wire"])
async def test_the_token_may_be_given_in_any_spelling(cluster: Running, spelling: str) -> None:
    token = await minted(cluster)
    given = {"minted": token, "bare": token.removeprefix("jwt_agent_"), "wire": wire(token)}[spelling]
    await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": given})
    assert await answers(cluster.client(wire(token))) == 401
    await cluster.admin.post(f"{ALL}/remove_blacklist_token", json={"token": given})
    assert await answers(cluster.client(wire(token))) == 200


async def test_the_list_names_who_did_it_and_when(cluster: Running) -> None:
    token = await minted(cluster)
    end = {"token": token, "expires_at": "2030-01-01T02:00:00+02:00"}
    await cluster.admin.post(f"{ALL}/blacklist_token", json=end)
    (row,) = (await cluster.admin.get(f"{ALL}/list_blacklisted_tokens")).json()
    assert row.pop("blacklisted_at").endswith("Z")
    assert row == {
        "token": token.removeprefix("jwt_agent_"),
        "expires_at": "2030-01-01T00:00:00.000000Z",
        "blacklisted_by": "admin",
    }


async def test_an_entry_ends_with_its_token(cluster: Running) -> None:
    await cluster.admin.post(f"{ALL}/blacklist_token", json={"token": await minted(cluster, 60)})
    cluster.clock.ahead_s = 61
    assert (await cluster.admin.get(f"{ALL}/list_blacklisted_tokens")).json() == []
    every = await cluster.admin.get(f"{ALL}/list_blacklisted_tokens", params={"include_expired": "true"})
    assert len(every.json()) == 1


async def test_only_a_superadmin_may(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    await cluster.preview()
    job = cluster.client((await agent.post(f"{ALL}/pull_job", json=None)).json()["token"])
    for client, status in ((agent, 401), (job, 403), (cluster.client(None), 401)):
        for path in ("blacklist_token", "remove_blacklist_token"):
            assert (await client.post(f"{ALL}/{path}", json={"token": "x"})).status_code == status
        assert (await client.get(f"{ALL}/list_blacklisted_tokens")).status_code == status


async def test_what_is_no_token_is_refused_by_name(cluster: Running) -> None:
    for body in ({"token": ""}, {}, {"token": "x", "expires_at": "2030-01-01T00:00:00"}):
        refused = await cluster.admin.post(f"{ALL}/blacklist_token", json=body)
        assert refused.status_code == 400
