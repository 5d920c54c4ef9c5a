"""A flow runs at once; what its inline steps need is resolved once, and kept in its value."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from bridge.dependencies.flows import FlowLock
from bridge.flows.deployed import NewFlow
from tests.support.cluster import Running
from tests.support.locking import resolve_all
from tests.support.wheel_index import put_wheel

pytestmark = pytest.mark.on_both_stores

PATH = "f/shop/nightly"


def step(name: str, content: str, **more: Any) -> dict[str, Any]:
    return {"id": name, "value": {"type": "rawscript", "language": "python3", "content": content, **more}}


def new_flow(*modules: dict[str, Any]) -> NewFlow:
    return NewFlow(path=PATH, value=msgspec.Raw(json.dumps({"modules": modules}).encode()))


async def locks(cluster: Running) -> dict[str, str | None]:
    found = msgspec.json.decode((await cluster.cluster.flows.get("main", PATH))["value"])
    return {one["id"]: one["value"].get("lock") for one in found["modules"]}


async def standing(cluster: Running) -> FlowLock:
    answer = await cluster.admin.get(f"/api/w/main/flows/deployment_status/p/{PATH}")
    return FlowLock(**answer.json())


async def test_one_job_resolves_all_that_need_it(cluster: Running, tmp_path: Path) -> None:
    put_wheel(tmp_path, "shoptool", "1.0")
    flows = cluster.cluster.flows
    needy, plain = step("a", "import shoptool"), step("b", "import os")
    await flows.create("main", new_flow(needy, plain, step("c", "import x", lock="x==1")), "admin")
    assert await locks(cluster) == {"a": None, "b": "# py: 3.11", "c": "x==1"}
    waiting = await standing(cluster)
    job = await cluster.job(str(waiting.job_id))
    assert [job[key] for key in ("job_kind", "tag", "script_path", "running")] == [
        "flowdependencies", "dependency", PATH, False,
    ]  # fmt: skip
    assert await resolve_all(cluster, tmp_path) == [PATH]
    assert await locks(cluster) == {"a": "# py: 3.11\nshoptool==1.0", "b": "# py: 3.11", "c": "x==1"}
    ended: Any = await cluster.job(str(waiting.job_id))
    assert ended["result"]["locks"] == {"a": "# py: 3.11\nshoptool==1.0"}
    assert "step a needs Python 3.11: shoptool" in ended["logs"]

    await flows.update("main", PATH, new_flow(step("a", "import missing_tool"), needy | {"id": "d"}), "admin")
    assert await resolve_all(cluster, tmp_path) == [PATH]
    assert await locks(cluster) == {"a": None, "d": "# py: 3.11\nshoptool==1.0"}
    failed = await standing(cluster)
    assert "step a: uv finds no packages" in str(failed.lock_error_logs)
    assert (await cluster.job(str(failed.job_id)))["success"] is False


async def test_what_needs_nothing_pushes_no_job_and_what_is_deleted_needs_nothing(
    cluster: Running, tmp_path: Path
) -> None:
    flows = cluster.cluster.flows
    await flows.create("main", new_flow(step("a", "import os")), "admin")
    assert await standing(cluster) == FlowLock()
    assert await resolve_all(cluster, tmp_path) == []
    await flows.update("main", PATH, new_flow(step("a", "import shoptool")), "admin")
    job_id = str((await standing(cluster)).job_id)
    await flows.delete("main", PATH)
    assert await resolve_all(cluster, tmp_path) == [PATH]
    assert (await cluster.job(job_id))["success"] is True
