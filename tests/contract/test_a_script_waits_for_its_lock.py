"""By its path a script runs once its dependencies are known; the version before it does until then."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.dependencies.locks import hashes_of
from tests.support.cluster import Running
from tests.support.locking import pulled, resolve_all, resolving
from tests.support.until import until
from tests.support.wheel_index import put_wheel

pytestmark = pytest.mark.on_both_stores

IN = "/api/w/main"
NEEDY = "import shoptool\n\ndef main():\n    return shoptool.version\n"
LOCK = "# py: 3.11\nbarcode==2.0\nshoptool==1.0"


@pytest.fixture
def wheels(tmp_path: Path) -> Path:
    folder = tmp_path / "wheels"
    folder.mkdir()
    put_wheel(folder, "shoptool", "1.0", ("barcode>=1",))
    put_wheel(folder, "barcode", "1.0")
    put_wheel(folder, "barcode", "2.0")
    return folder


async def deploy(cluster: Running, content: str, path: str = "f/shop/a", **more: Any) -> str:
    body = {"path": path, "content": content, "language": "python3", "tag": "till", **more}
    answer = await cluster.admin.post(f"{IN}/scripts/create", json=body)
    assert answer.status_code == 201, answer.text
    return answer.text


async def status(cluster: Running, path: str = "f/shop/a") -> dict[str, Any]:
    found: dict[str, Any] = (await cluster.admin.get(f"{IN}/scripts/deployment_status/p/{path}")).json()
    return found


async def job_of(cluster: Running, job_id: str) -> dict[str, Any]:
    found: dict[str, Any] = await cluster.job(job_id)
    return found


async def run(cluster: Running, path: str = "f/shop/a") -> httpx.Response:
    return await cluster.admin.post(f"{IN}/jobs/run/p/{path}", json={})


async def test_until_then_the_path_says_what_it_waits_for(cluster: Running, wheels: Path) -> None:
    made = await deploy(cluster, NEEDY)
    waiting = await status(cluster)
    assert (waiting["lock"], waiting["lock_error_logs"]) == (None, None)
    job = await job_of(cluster, waiting["job_id"])
    assert [job[key] for key in ("job_kind", "tag", "script_path")] == [
        "dependencies",
        "dependency",
        "f/shop/a",
    ]
    refused = await run(cluster)
    assert refused.status_code == 404
    assert (
        f"deployed script not found: f/shop/a: its dependencies are being resolved by job {job['id']}"
        in refused.text
    )
    by_hash = await cluster.admin.post(f"{IN}/jobs/run/h/{made}", json={})
    assert by_hash.status_code == 201  # at once, as a preview
    agent = await cluster.agent("till")
    handed = (await agent.post("/api/agent_workers/pull_job")).json()
    assert (handed["raw_lock"], handed["precomputed_agent_info"]["Python"]["requirements"]) == (
        None,
        "shoptool",
    )

    assert await resolve_all(cluster, wheels) == ["f/shop/a"]
    assert await status(cluster) == {"lock": LOCK, "lock_error_logs": None, "job_id": job["id"]}
    assert (await job_of(cluster, job["id"]))["result"] == {
        "status": "Successful lock file generation",
        "lock": LOCK,
    }
    hashes = await cluster.store.read(lambda connection: hashes_of(connection, LOCK))
    assert {key: len(ones) for key, ones in hashes.items()} == {"barcode==2.0": 1, "shoptool==1.0": 1}
    assert (await run(cluster)).status_code == 201
    assert (await agent.post("/api/agent_workers/pull_job")).json()["raw_lock"] == LOCK


async def test_what_needs_nothing_runs_at_once_and_a_lock_that_is_given_is_believed(cluster: Running) -> None:
    for language, content, lock, given in (
        ("python3", "import os\n\ndef main():\n    pass\n", "# py: 3.11", None),
        ("python3", "# py: >=3.12\ndef main():\n    pass\n", "# py: 3.12", ""),
        ("python3", NEEDY, "shoptool==0.9", "shoptool==0.9"),
        ("bash", "echo hi", "", None),
        ("bun", "import fs from 'fs'\nexport function main() {}", "", None),
    ):
        await deploy(cluster, content, language=language, lock=given)
        assert await status(cluster) == {"lock": lock, "lock_error_logs": None, "job_id": None}
        assert (await run(cluster)).status_code == 201
    assert await pulled(cluster) is None


async def test_what_cannot_be_resolved_says_why_and_the_version_before_runs_on(
    cluster: Running, wheels: Path
) -> None:
    first = await deploy(cluster, NEEDY)
    await resolve_all(cluster, wheels)
    second = await deploy(cluster, "import missing_tool\n\ndef main():\n    pass\n")
    await resolve_all(cluster, wheels)
    failed = await status(cluster)
    assert failed["lock"] is None
    assert "missing-tool was not found" in failed["lock_error_logs"]
    shown = (await cluster.admin.get(f"{IN}/scripts/get/p/f/shop/a")).json()
    assert (shown["hash"], shown["lock_error_logs"]) == (second, failed["lock_error_logs"])
    job = await job_of(cluster, failed["job_id"])
    assert (job["success"], job["result"]["error"]["name"]) == (False, "LockFailed")
    assert "f/shop/a needs Python 3.11: missing-tool" in str(job["logs"])
    assert "missing-tool was not found" in str(job["logs"])
    run_job = await job_of(cluster, (await run(cluster)).text)
    assert run_job["script_hash"] == first

    put_wheel(wheels, "missing-tool", "3.0")
    assert await deploy(cluster, "import missing_tool\n\ndef main():\n    pass\n") == second  # tried again
    await resolve_all(cluster, wheels)
    assert (await status(cluster))["lock"] == "# py: 3.11\nmissing-tool==3.0"
    assert (await job_of(cluster, (await run(cluster)).text))["script_hash"] == second


async def test_without_a_version_before_the_error_is_what_a_run_is_told(
    cluster: Running, wheels: Path
) -> None:
    await deploy(cluster, "# requirements:\n# -r /etc/passwd\n")
    await resolve_all(cluster, wheels)
    assert (
        "its dependencies could not be resolved: '-r /etc/passwd' is no requirement"
        in (await run(cluster)).text
    )
    await deploy(cluster, "import axios from 'axios'", path="f/shop/js", language="bun")
    await resolve_all(cluster, wheels)
    assert "npm finds no packages for axios@latest" in (await run(cluster, "f/shop/js")).text


async def test_a_job_that_is_cancelled_leaves_no_script_waiting_unsaid(
    cluster: Running, wheels: Path
) -> None:
    await deploy(cluster, NEEDY)
    job_id = (await status(cluster))["job_id"]
    await cluster.admin.post(f"{IN}/jobs_u/queue/cancel/{job_id}", json={})
    assert "came to nothing; deploy it again" in (await status(cluster))["lock_error_logs"]
    assert "came to nothing; deploy it again" in (await run(cluster)).text
    await deploy(cluster, NEEDY)
    await resolve_all(cluster, wheels)
    assert (await status(cluster))["lock"] == LOCK


async def test_whoever_imports_it_is_looked_at_again(cluster: Running, wheels: Path) -> None:
    await deploy(cluster, "from f.shop.lib import x\n\ndef main():\n    pass\n")  # lib is not there yet
    await deploy(cluster, "from f.shop.a import main\n", path="f/shop/outer")
    await deploy(cluster, "from f.shop.lib import x\n", path="f/shop/fixed", lock="# py: 3.11")
    assert (await status(cluster))["lock"] == "# py: 3.11"
    await deploy(cluster, NEEDY, path="f/shop/lib")
    assert (await run(cluster)).status_code == 201  # with the lock that it has, until there is another
    assert await resolve_all(cluster, wheels) == ["f/shop/lib", "f/shop/a", "f/shop/outer"]
    relocked = await status(cluster)
    assert relocked["lock"] == LOCK
    job = await job_of(cluster, relocked["job_id"])
    assert job["args"] == {"triggered_by_relative_import": True, "parent_path": "f/shop/lib"}
    assert (await status(cluster, "f/shop/fixed"))["lock"] == "# py: 3.11"  # it was given

    await deploy(cluster, "import missing_tool\n", path="f/shop/lib")
    await resolve_all(cluster, wheels)
    kept = await status(cluster)
    assert (kept["lock"], "missing-tool was not found" in kept["lock_error_logs"]) == (LOCK, True)
    assert (await run(cluster)).status_code == 201  # with the lock that was good
    await deploy(cluster, "x = 1\n", path="f/shop/lib")
    assert await status(cluster) == {"lock": "# py: 3.11", "lock_error_logs": None, "job_id": None}


async def test_what_an_older_job_found_is_not_kept(cluster: Running, wheels: Path) -> None:
    await deploy(cluster, NEEDY)
    late = await pulled(cluster)
    assert late is not None
    await deploy(cluster, "x = 1\n", path="f/shop/b")
    await deploy(cluster, "from f.shop.b import x\n" + NEEDY)
    await resolve_all(cluster, wheels)
    put_wheel(wheels, "barcode", "3.0")
    await resolving(cluster, wheels).run(late)
    assert (await status(cluster))["lock"] == LOCK
    assert (await job_of(cluster, late.job_id))["success"] is True


async def test_a_worker_that_is_killed_has_done_nothing_and_another_does_it_again(
    cluster: Running, wheels: Path
) -> None:
    await deploy(cluster, NEEDY)
    job = await pulled(cluster)
    assert job is not None
    first = asyncio.create_task(resolving(cluster, wheels).run(job), name="the one that is killed")

    async def begun() -> bool:
        return "needs Python 3.11: shoptool" in str((await job_of(cluster, job.job_id))["logs"])

    await until(begun)
    first.cancel()
    await asyncio.wait([first])
    await resolving(cluster, wheels).run(job)
    await resolving(cluster, wheels).run(job)
    assert (await status(cluster))["lock"] == LOCK
    assert (await job_of(cluster, job.job_id))["success"] is True


async def test_a_lock_is_made_on_demand(cluster: Running, wheels: Path) -> None:
    script = {"raw_code": "from .lib import x", "path": "f/shop/new", "language": "python3"}
    await deploy(cluster, NEEDY, path="f/shop/lib")
    await resolve_all(cluster, wheels)
    body = {"raw_scripts": [script], "entrypoint": "f/shop/new"}
    later = await cluster.admin.post(f"{IN}/jobs/run/dependencies_async", json=body)
    now = asyncio.create_task(cluster.admin.post(f"{IN}/jobs/run/dependencies", json=body), name="asks")
    done: list[str] = []

    async def both() -> bool:
        done.extend(await resolve_all(cluster, wheels))
        return len(done) == 2

    await until(both)
    assert (later.status_code, (await now).json()["lock"]) == (201, LOCK)
    assert (await job_of(cluster, later.text))["result"]["lock"] == LOCK
    refused = await cluster.admin.post(f"{IN}/jobs/run/dependencies", json={"raw_scripts": []})
    assert (refused.status_code, "must have one script, not 0" in refused.text) == (400, True)


async def test_the_text_of_a_script_is_there_to_be_imported(cluster: Running) -> None:
    made = await deploy(cluster, "x = 1\n", path="f/shop/lib")
    for where in ("p/f/shop/lib", "p/f/shop/lib.py", f"h/{made}", f"h/{made}.py"):
        assert (await cluster.admin.get(f"{IN}/scripts/raw/{where}")).text == "x = 1\n"
    assert (await cluster.admin.get(f"{IN}/scripts/raw/p/f/shop/none.py")).status_code == 404


async def test_its_page_says_what_it_waits_for(cluster: Running, wheels: Path) -> None:
    person = cluster.admin
    await deploy(cluster, "import missing_tool\n\ndef main():\n    pass\n")
    job_id = (await status(cluster))["job_id"]
    page = (await person.get("/runs/new", params={"script": "f/shop/a"})).text
    assert f"It does not run yet: its dependencies are being resolved by job {job_id}" in page
    await resolve_all(cluster, wheels)
    refused = await person.post("/runs/new", data={"script": "f/shop/a", "workspace": "main"})
    assert (refused.status_code, "missing-tool was not found" in refused.text) == (400, True)
    again = await person.post(f"/run/{job_id}/again")
    assert (again.status_code, "deploy their script or flow again" in again.text) == (400, True)
