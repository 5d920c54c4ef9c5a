"""A secret variable: sealed in the store, its key beside it, its value in no list, record or log."""

from pathlib import Path

import pytest

from agent.clock import SystemClock
from bridge.errors import ConfigError
from bridge.store.connection import open_store
from bridge.web.cluster import open_cluster
from tests.support.cluster import Running, running_cluster

IN = "/api/w/main/variables"
SECRET = "s3cr3t-of-the-till"


async def set_secret(cluster: Running, path: str = "f/shop/key", **more: object) -> None:
    body = {"path": path, "value": SECRET, "is_secret": True, "description": "", **more}
    made = await cluster.admin.post(f"{IN}/create", json=body)
    assert (made.status_code, made.text) == (201, f"variable {path} created")


def files_of(folder: Path) -> bytes:
    return b"".join(path.read_bytes() for path in folder.iterdir() if path.is_file())


async def test_whoever_may_read_it_gets_it(cluster: Running) -> None:
    await set_secret(cluster)
    assert (await cluster.admin.get(f"{IN}/get_value/f/shop/key")).json() == SECRET
    shown = (await cluster.admin.get(f"{IN}/get/f/shop/key")).json()
    assert (shown["value"], shown["is_secret"], shown["workspace_id"]) == (SECRET, True, "main")
    hidden = await cluster.admin.get(f"{IN}/get/f/shop/key", params={"decrypt_secret": "false"})
    assert hidden.json()["value"] is None


async def test_no_list_shows_it(cluster: Running) -> None:
    await set_secret(cluster)
    await cluster.admin.post(f"{IN}/create", json={"path": "f/shop/name", "value": "Suva"})
    listed = (await cluster.admin.get(f"{IN}/list")).json()
    assert [(one["path"], one["value"]) for one in listed] == [("f/shop/key", None), ("f/shop/name", "Suva")]


async def test_no_file_of_the_store_has_it(cluster: Running, tmp_path: Path) -> None:
    await set_secret(cluster)
    await cluster.admin.post(f"{IN}/update/f/shop/key", json={"description": "the till's"})
    assert SECRET.encode() not in files_of(tmp_path)
    key = tmp_path / "bridge.db.key"
    assert key.stat().st_mode & 0o777 == 0o600
    assert key.read_text().strip().encode() not in (tmp_path / "bridge.db").read_bytes()


async def test_a_sealed_value_opens_at_its_own_path_only(cluster: Running) -> None:
    await set_secret(cluster)
    await cluster.store.write(lambda connection: connection.execute("UPDATE variable SET path = 'u/eve/key'"))
    moved = await cluster.admin.get(f"{IN}/get_value/u/eve/key")
    assert (moved.status_code, SECRET in moved.text) == (500, False)


async def test_an_arguments_secret_is_in_no_record_of_the_job(cluster: Running, tmp_path: Path) -> None:
    await set_secret(cluster)
    job_id = await cluster.preview(args={"key": "$var:f/shop/key"})
    agent = await cluster.agent("bash")
    pulled = (await agent.post("/api/agent_workers/pull_job", json=None)).json()
    assert pulled["job"]["args"] == {"key": SECRET}
    record = await cluster.admin.get(f"/api/w/main/jobs_u/get/{job_id}")
    assert record.json()["args"] == {"key": "$var:f/shop/key"}
    args = await cluster.admin.get(f"/api/w/main/jobs_u/get_args/{job_id}")
    assert args.json() == {"key": "$var:f/shop/key"}
    assert SECRET.encode() not in files_of(tmp_path)


async def test_a_secret_becomes_plain_only_with_a_new_value(cluster: Running) -> None:
    await set_secret(cluster)
    refused = await cluster.admin.post(f"{IN}/update/f/shop/key", json={"is_secret": False})
    assert refused.status_code == 400
    plain = {"is_secret": False, "value": "open"}
    assert (await cluster.admin.post(f"{IN}/update/f/shop/key", json=plain)).status_code == 200
    assert (await cluster.admin.get(f"{IN}/list")).json()[0]["value"] == "open"


async def test_a_store_whose_key_is_lost_or_another_is_refused_by_name(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as cluster:
        await set_secret(cluster)
    key = tmp_path / "bridge.db.key"
    right = key.read_text()
    store = await open_store(tmp_path / "bridge.db")
    try:
        for wrong in ("00" * 32, "no key", None):
            key.unlink() if wrong is None else key.write_text(wrong)
            with pytest.raises(ConfigError, match=r"bridge\.db\.key"):
                await open_cluster(store, SystemClock(), "http://c", None)
    finally:
        await store.close()
    key.write_text(right)
    async with running_cluster(tmp_path) as cluster:
        assert (await cluster.admin.get(f"{IN}/get_value/f/shop/key")).json() == SECRET
