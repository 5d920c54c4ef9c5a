"""The stream of /workers: nothing while nothing changes, then what changed, to all who look."""

import httpx

from tests.support.cluster import Running, served
from tests.support.fleet import site
from tests.support.until import until
from tests.support.viewing import LIVE, viewer


async def test_a_viewer_is_sent_what_changed_and_no_more(cluster: Running) -> None:
    suva, nadi = await site(cluster, "suva"), await site(cluster, "nadi")
    for one in (suva, nadi):
        await one.ping(next_s=1e6)
    async with served(cluster.app) as url:
        headers = cluster.admin.headers
        async with httpx.AsyncClient(base_url=url, headers=headers) as client:
            (path,) = LIVE.findall((await client.get("/workers")).text)
            path = path.replace("&amp;", "&")
            async with viewer(client, path) as first, viewer(client, path) as second:
                await suva.ping(held=3, next_s=1e6)
                for seen in (first, second):
                    await until(lambda seen=seen: f"row-{suva.worker}" in seen.events, within_s=5)
                    assert f"row-{nadi.worker}" not in seen.events
                    assert "membership" not in seen.events
                await site(cluster, "lautoka")
                await until(lambda: "membership" in first.events, within_s=5)


async def test_who_may_no_longer_look_is_sent_nothing_more(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    async with served(cluster.app) as url:
        client = httpx.AsyncClient(base_url=url, headers=cluster.admin.headers)
        async with client, client.stream("GET", "/workers/live", timeout=None) as answer:
            await suva.ping(held=1)
            await client.post("/api/auth/logout")
            async for _ in answer.aiter_text():
                """Until it ends: by the bridge, not by us."""
        assert answer.is_closed
