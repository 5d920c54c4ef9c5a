"""Deployed scripts: newest by path, any by hash."""

import httpx
import pytest

from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

SCRIPTS = "/api/w/main/scripts"


async def deploy(cluster: Running, content: str, **more: object) -> httpx.Response:
    body = {"path": "f/shop/a", "summary": "s", "content": content, "language": "bash", **more}
    return await cluster.admin.post(f"{SCRIPTS}/create", json=body)


async def test_versions(cluster: Running) -> None:
    schema = {"properties": {"day": {"type": "string"}}}
    first = (await deploy(cluster, "one", schema=schema)).text
    second = (await deploy(cluster, "two", parent_hash=first)).text
    newest = (await cluster.admin.get(f"{SCRIPTS}/get/p/f/shop/a")).json()
    assert (newest["hash"], newest["content"], newest["parent_hashes"]) == (second, "two", [first])
    oldest = (await cluster.admin.get(f"{SCRIPTS}/get/h/{first}")).json()
    assert (oldest["content"], oldest["archived"], oldest["schema"]) == ("one", True, schema)
    listed = (await cluster.admin.get(f"{SCRIPTS}/list", params={"path_start": "f/shop/"})).json()
    assert [script["hash"] for script in listed] == [second]


async def test_the_same_again_changes_nothing_and_going_back_is_a_new_version(cluster: Running) -> None:
    first, again = (await deploy(cluster, "one")).text, (await deploy(cluster, "one")).text
    assert first == again
    await deploy(cluster, "two")
    back = (await deploy(cluster, "one")).text
    assert back != first
    assert (await cluster.admin.get(f"{SCRIPTS}/get/p/f/shop/a")).json()["hash"] == back


async def test_a_version_on_top_of_an_old_one_is_refused(cluster: Running) -> None:
    first = (await deploy(cluster, "one")).text
    await deploy(cluster, "two", parent_hash=first)
    late = await deploy(cluster, "three", parent_hash=first)
    assert (late.status_code, "not the newest version" in late.text) == (400, True)


async def test_none_is_404(cluster: Running) -> None:
    for path in ("get/p/f/none", "get/h/0000000000000000"):
        assert (await cluster.admin.get(f"{SCRIPTS}/{path}")).status_code == 404
