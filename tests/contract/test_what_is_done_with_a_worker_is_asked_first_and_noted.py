"""Drain, resume, rotate, blacklist, rename: a question changes nothing, a deed stands in the audit log."""

import httpx
import pytest

from agent.wire.tokens import bearer_of, token_id
from tests.support.cluster import Running
from tests.support.fleet import Site, site

pytestmark = pytest.mark.on_both_stores


async def done(cluster: Running, suva: Site, deed: str, **fields: str) -> str:
    """Asked, then done. The page after it."""
    path = f"/workers/agent/{suva.worker}/{deed}"
    asked = await cluster.admin.get(path)
    assert f'action="{path}"' in asked.text
    entries = len((await cluster.admin.get("/api/audit/list")).json())
    answer = await cluster.admin.post(path, data={"": ""} | fields)
    assert answer.status_code == 200, answer.text
    assert len((await cluster.admin.get("/api/audit/list")).json()) == entries + 1
    cluster.clock.ahead_s += 1
    return answer.text


async def newest(cluster: Running) -> tuple[str, str]:
    entry = (await cluster.admin.get("/api/audit/list?per_page=1")).json()[0]
    return entry["operation"], entry["resource"]


async def test_drain_and_resume(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    await suva.ping(next_s=1e6)
    await done(cluster, suva, "drain")
    assert await newest(cluster) == ("agent_workers.drain", suva.worker)
    page = (await cluster.admin.get("/workers?state=draining")).text
    assert f"row-{suva.worker}" in page
    assert "asked it to take nothing new" in (await cluster.admin.get(f"/workers/agent/{suva.worker}")).text
    await done(cluster, suva, "resume")
    assert await newest(cluster) == ("agent_workers.resume", suva.worker)
    assert f"row-{suva.worker}" not in (await cluster.admin.get("/workers?state=draining")).text


async def agent_of(cluster: Running, token: str) -> httpx.Response:
    bearer = bearer_of(token, "suva")
    return await cluster.client(bearer).get("/api/agent_workers/get_min_version")


async def test_blacklist(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    assert (await agent_of(cluster, suva.token)).status_code == 200
    await done(cluster, suva, "blacklist")
    assert await newest(cluster) == ("agent_workers.blacklist.add", suva.token_id)
    assert (await agent_of(cluster, suva.token)).status_code == 401
    assert suva.token_id in await cluster.cluster.tokens.blacklist.all()


async def test_rotate_names_a_successor_that_ends_the_old_one(cluster: Running) -> None:
    suva = await site(cluster, "suva", "pos-suva", "bash")
    await done(cluster, suva, "rotate", days="30")
    assert await newest(cluster) == ("agent_workers.token.rotate", suva.token_id)
    successors = cluster.cluster.successors
    token = await successors.of(bearer_of(suva.token, "suva"))
    claims = await cluster.cluster.tokens.verify_agent(bearer_of(token, "suva"))
    assert claims is not None
    assert claims.worker == suva.worker
    assert claims.tags == {"pos-suva", "bash"}
    assert (await agent_of(cluster, suva.token)).status_code == 200  # until the new one is taken over
    await successors.note_use(bearer_of(token, "suva"), claims)
    assert token_id(suva.token) in await cluster.cluster.tokens.blacklist.all()
    assert (await agent_of(cluster, suva.token)).status_code == 401


async def test_rename(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    path = "/workers/group/shops"
    assert "Rename shops" in (await cluster.admin.get(path)).text
    await cluster.admin.post(path, data={"title": "Shops <of> Fiji"})
    assert await newest(cluster) == ("agent_workers.group.rename", "shops")
    cluster.clock.ahead_s += 1
    page = (await cluster.admin.get("/workers")).text
    assert "Shops &lt;of&gt; Fiji</h2>" in page
    assert f"row-{suva.worker}" in page
    await cluster.admin.post(path, data={"title": ""})
    cluster.clock.ahead_s += 1
    assert "Fiji" not in (await cluster.admin.get("/workers")).text
    assert (await cluster.admin.post(path, data={"title": "x" * 81})).status_code == 400


async def test_nobody_does_anything_with_a_worker_that_is_not_there(cluster: Running) -> None:
    for path in ("", "/drain", "/rotate"):
        assert (await cluster.admin.get(f"/workers/agent/ag-no-one{path}")).status_code == 404


async def test_a_drained_agent_over_http_is_handed_nothing(cluster: Running) -> None:
    suva = await site(cluster, "suva", "bash")
    agent = cluster.client(bearer_of(suva.token, "suva"))
    for deed, gets_it in (("drain", False), ("resume", True)):
        await done(cluster, suva, deed)
        await cluster.preview(tag="bash")
        pulled = (await agent.post("/api/agent_workers/pull_job")).json()
        assert (pulled is not None) is gets_it
