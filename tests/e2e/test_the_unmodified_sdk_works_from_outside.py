"""The PyPI client `wmill`, as it is, against our cluster, with its jobs run at an edge site."""

import asyncio
import datetime as dt
import sys
from collections.abc import Callable
from typing import TypeVar

import pytest
import wmill

from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

T = TypeVar("T")

ADD = "def main(a: int, b: int = 1):\n    return {'sum': a + b}\n"
FAIL = "def main():\n    raise ValueError('no paper')\n"
WAIT = "read -r -t 60 nothing < <(tail -f /dev/null) || echo waited"


@pytest.fixture
async def sdk(calm: World, monkeypatch: pytest.MonkeyPatch) -> wmill.Windmill:
    monkeypatch.setenv("WM_WORKSPACE", "main")  # some of its methods read nothing else
    return wmill.Windmill(calm.bridge.url, calm.cluster.bearer, "main")


async def beside(call: Callable[[], T]) -> T:
    """The SDK blocks its thread."""
    return await asyncio.to_thread(call)


@pytest.fixture
def deployed(sdk: wmill.Windmill) -> dict[str, str]:
    """Path → hash of the scripts of these tests; deployed again they are the same."""
    scripts = {
        "u/admin/add": (ADD, "python3", "python"),
        "u/admin/fail": (FAIL, "python3", "python"),
        "u/admin/wait": (WAIT, "bash", "bash"),
    }
    made = {}
    for path, (content, language, tag) in scripts.items():
        body = {"path": path, "summary": "", "content": content, "language": language, "tag": tag}
        made[path] = sdk.post("/w/main/scripts/create", json=body).text
    return made


async def test_a_script_is_run_and_waited_for(sdk: wmill.Windmill, deployed: dict[str, str]) -> None:
    by_path = await beside(lambda: sdk.run_script_by_path("u/admin/add", args={"a": 1}, timeout=60))
    by_hash = await beside(lambda: sdk.run_script_by_hash(deployed["u/admin/add"], {"a": 1, "b": 2}, 60))
    assert (by_path, by_hash) == ({"sum": 2}, {"sum": 3})


async def test_a_script_is_run_and_asked_for_later(sdk: wmill.Windmill, deployed: dict[str, str]) -> None:
    job = sdk.run_script_by_path_async("u/admin/add", args={"a": 1})
    again = sdk.run_script_by_hash_async(deployed["u/admin/add"], args={"a": 2})
    assert sdk.get_job_status(job) in {"WAITING", "RUNNING", "COMPLETED"}
    await until(lambda: sdk.get_job_status(job) == "COMPLETED", within_s=60)
    await until(lambda: sdk.get_job_status(again) == "COMPLETED", within_s=60)
    assert (sdk.get_result(job), sdk.get_result(again)) == ({"sum": 2}, {"sum": 3})
    assert sdk.get_job(job)["success"] is True
    assert sdk.get_root_job_id(job) == job


async def test_a_failed_script_raises_what_it_said(sdk: wmill.Windmill, deployed: dict[str, str]) -> None:
    with pytest.raises(Exception, match="no paper"):
        await beside(lambda: sdk.run_script_by_path("u/admin/fail", timeout=60))


async def test_a_failed_script_is_retried(sdk: wmill.Windmill, deployed: dict[str, str]) -> None:
    policy = {"constant": {"attempts": 2, "seconds": 0}}
    first = sdk.run_script_by_path_async("u/admin/fail", retry=policy)

    def family() -> list[str]:
        jobs = sdk.get("/w/main/jobs/completed/list", params={"script_path_exact": "u/admin/fail"}).json()
        return [job["parent_job"] for job in jobs if first in (job["id"], job["parent_job"])]

    await until(lambda: family() == [first, first, None], within_s=60)
    assert "no paper" in str(sdk.get_result(first))


async def test_code_is_run_inline(sdk: wmill.Windmill, calm: World) -> None:
    agent = calm.site("python3")
    await agent.start()
    assert await beside(lambda: sdk.run_inline_script_preview(ADD, "python3", {"a": 3})) == {"sum": 4}
    assert agent.stop() == 0


async def test_a_job_is_cancelled(sdk: wmill.Windmill, deployed: dict[str, str]) -> None:
    job = sdk.run_script_by_path_async("u/admin/wait")
    await until(lambda: sdk.get_job_status(job) == "RUNNING", within_s=60)
    assert sdk.cancel_job(job, reason="closing time") == job
    await until(lambda: sdk.get_job_status(job) == "COMPLETED", within_s=60)
    assert sdk.get_job(job)["canceled_reason"] == "closing time"


async def test_a_wait_that_times_out_cancels_the_job(sdk: wmill.Windmill, deployed: dict[str, str]) -> None:
    with pytest.raises(TimeoutError):
        # cleanup: what the SDK does when its process ends is not for this process
        await beside(lambda: sdk.run_script_by_path("u/admin/wait", None, 1, cleanup=False))
    jobs = sdk.get("/w/main/jobs/list", params={"script_path_exact": "u/admin/wait"}).json()
    await until(lambda: sdk.get_job_status(jobs[0]["id"]) == "COMPLETED", within_s=60)


async def test_progress(sdk: wmill.Windmill) -> None:
    job = sdk.post(
        "/w/main/jobs/run/preview",
        json={"content": "true", "language": "bash", "tag": "nobody"},
    ).text
    assert sdk.get_progress(job) is None
    sdk.set_progress(30, job)
    assert sdk.get_progress(job) == 30
    assert sdk.worker_is_draining(job) is False
    sdk.cancel_job(job)


async def test_variables_resources_and_state(sdk: wmill.Windmill) -> None:
    for value in ("first", "second"):
        sdk.set_variable("f/sdk/key", value, is_secret=True)
        assert sdk.get_variable("f/sdk/key") == value
    assert sdk.get_variable("var://f/sdk/key") == "second"
    for host in ("a", "b"):
        sdk.set_resource({"host": host, "key": "$var:f/sdk/key"}, "f/sdk/db", "sqlite")
    assert sdk.get_resource("f/sdk/db") == {"host": "b", "key": "second"}
    assert sdk.get_resource("f/sdk/db", interpolated=False) == {"host": "b", "key": "$var:f/sdk/key"}
    assert sdk.get_resource("f/sdk/none", none_if_undefined=True) is None
    assert [one["path"] for one in sdk.list_resources(resource_type="sqlite")] == ["f/sdk/db"]
    assert sdk.get_state(path="u/admin/tmp_state") is None
    sdk.set_state({"seen": [1]}, path="u/admin/tmp_state")
    assert sdk.get_state(path="u/admin/tmp_state") == {"seen": [1]}


async def test_who_and_what(sdk: wmill.Windmill) -> None:
    assert sdk.version.startswith("Orvanta Edge v")
    assert (sdk.whoami()["email"], sdk.user["super_admin"]) == ("admin@orvanta.local", True)
    assert sdk.username_to_email("admin") == "admin@orvanta.local"
    token = sdk.create_token(dt.timedelta(days=2))
    assert wmill.Windmill(sdk.base_url.removesuffix("/api"), token, "main").whoami()["username"] == "admin"


def test_the_client_is_the_one_from_the_index() -> None:
    assert "site-packages" in str(sys.modules["wmill"].__file__)
