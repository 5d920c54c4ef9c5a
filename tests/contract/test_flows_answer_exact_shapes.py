"""The API of flows: deployed, run, waited for, looked at, approved, restarted (openflow.md 4)."""

import base64
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from bridge.tokens.model import Identity, NewPersonToken
from tests.support.cluster import Running
from tests.support.databases import plain
from tests.support.normal_worker import working
from tests.support.until import until

IN = "/api/w/main"
TEXT = "text/plain; charset=utf-8"
ANA = Identity(email="ana@example.com", username="ana", superadmin=False)
ADD_ANA = plain("INSERT INTO person VALUES ('ana@example.com', 'ana', '', 0)")


def step(id_: str, code: str, suspend: dict[str, Any] | None = None, **inputs: str) -> dict[str, Any]:
    """Of bash; a value in `inputs` is an expression."""
    names = "".join(f'{name}="${number}"\n' for number, name in enumerate(inputs, 1))
    transforms = {name: {"type": "javascript", "expr": expr} for name, expr in inputs.items()}
    value = {"type": "rawscript", "language": "bash", "content": names + code, "input_transforms": transforms}
    return {"id": id_, "value": value, **({"suspend": suspend} if suspend else {})}


ADD = {"modules": [step("a", "echo $((x+1))", x="flow_input.x"), step("b", "echo $((y*2))", y="results.a")]}
WAITS = {
    "modules": [
        step("a", "echo 1", {"required_events": 1, "timeout": 60}),
        step("b", 'echo "$r"', r="resume"),
    ]
}
FAILS = {"modules": [step("a", "exit 3")]}


@pytest.fixture
async def worked(cluster: Running, tmp_path: Path) -> AsyncIterator[Running]:
    """With a worker that runs flows, and bash."""
    async with working(cluster, tmp_path / "work", "flow", "bash"):
        yield cluster


async def posted(
    cluster: Running, path: str, body: object, status: int = 200, **query: str
) -> httpx.Response:
    answer = await cluster.admin.post(f"{IN}/{path}", json=body, params=query)
    assert answer.status_code == status, answer.text
    return answer


async def read(cluster: Running, path: str) -> Any:
    answer = await cluster.admin.get(f"{IN}/{path}")
    assert answer.status_code == 200, answer.text
    return answer.json()


async def previewed(cluster: Running, value: dict[str, Any], **args: Any) -> str:
    answer = await posted(cluster, "jobs/run/preview_flow", {"value": value, "args": args}, 201)
    assert answer.headers["content-type"] == TEXT
    return answer.text


async def ended(cluster: Running, job_id: str) -> dict[str, Any]:
    async def look() -> dict[str, Any]:
        job = await read(cluster, f"jobs_u/get/{job_id}")
        return job if job["type"] == "CompletedJob" else {}

    return await until(look)


async def modules(cluster: Running, job_id: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = (await read(cluster, f"jobs_u/get/{job_id}"))["flow_status"]["modules"]
    return found


async def waits(cluster: Running, job_id: str) -> str:
    """The step's job, once the flow waits for a word after it."""

    async def look() -> str:
        (_, second) = await modules(cluster, job_id)
        return str(second["job"]) if second["type"] == "WaitingForEvents" else ""

    return await until(look)


@pytest.mark.on_both_stores
async def test_a_flow_is_deployed_changed_renamed_archived_and_deleted(cluster: Running) -> None:
    flow = {"path": "f/shop/add", "summary": "adds", "value": ADD, "schema": {"type": "object"}, "unknown": 1}
    made = await posted(cluster, "flows/create", flow, 201)
    assert (made.text, made.headers["content-type"]) == ("f/shop/add", TEXT)
    assert "exists already" in (await posted(cluster, "flows/create", flow, 400)).text
    got = await read(cluster, "flows/get/f/shop/add")
    locks = [module["value"].pop("lock") for module in got["value"]["modules"]]
    assert locks == [""] * 2  # bash needs none
    assert got.items() >= {
        "path": "f/shop/add", "summary": "adds", "description": "", "value": ADD, "archived": False,
        "schema": {"type": "object"}, "edited_by": "admin", "tag": None, "extra_perms": {},
    }.items()  # fmt: skip
    assert await read(cluster, "flows/exists/f/shop/add") is True
    assert [one["path"] for one in await read(cluster, "flows/list?path_start=f/shop")] == ["f/shop/add"]

    await posted(cluster, "flows/update/f/shop/add", {**flow, "path": "f/shop/sum", "summary": "sums"})
    assert await read(cluster, "flows/exists/f/shop/add") is False
    newer = await read(cluster, "flows/get/f/shop/sum")
    assert (newer["summary"], newer["version_id"] > got["version_id"]) == ("sums", True)

    await posted(cluster, "flows/archive/f/shop/sum", {"archived": True})
    assert (await cluster.admin.get(f"{IN}/flows/get/f/shop/sum")).status_code == 404
    await posted(cluster, "flows/archive/f/shop/sum", {"archived": False})
    assert (await cluster.admin.delete(f"{IN}/flows/delete/f/shop/sum")).status_code == 200
    assert await read(cluster, "flows/list") == []


async def test_what_can_be_no_flow_is_refused_when_it_comes(cluster: Running) -> None:
    for value, told in (
        ({"modules": [{"id": "a", "value": {"type": "nothing"}}]}, "modules of the types"),
        ({"modules": [{"id": "a", "value": {"type": "aiagent"}}]}, "aiagent"),
    ):
        refused = await posted(cluster, "flows/create", {"path": "f/x/y", "value": value}, 400)
        assert told in refused.text
        assert (await posted(cluster, "jobs/run/preview_flow", {"value": value}, 400)).text == refused.text
    for path in ("jobs/run/f/f/x/y", "jobs/run/fv/7", "jobs/run_wait_result/f/f/x/y"):
        assert "not found" in (await posted(cluster, path, {}, 404)).text
    assert "whole number" in (await posted(cluster, "jobs/run/fv/x", {}, 400)).text


@pytest.mark.on_both_stores
async def test_it_is_run_and_waited_for_by_path_version_and_as_a_preview(worked: Running) -> None:
    await posted(worked, "flows/create", {"path": "f/shop/add", "value": ADD}, 201)
    version = (await read(worked, "flows/get/f/shop/add"))["version_id"]
    payload = base64.urlsafe_b64encode(b'{"x":3}').decode().rstrip("=")
    for path, body in (
        (f"fv/{version}", {"x": 3}),
        ("f/f/shop/add", {"x": 3}),
        ("preview_flow", {"value": ADD, "args": {"x": 3}}),
    ):
        assert (await posted(worked, f"jobs/run_wait_result/{path}", body)).text == '"8"'
    assert await read(worked, f"jobs/run_wait_result/f/f/shop/add?payload={payload}") == "8"
    by_path = (await posted(worked, "jobs/run/f/f/shop/add", {"x": 1}, 201)).text
    by_version = (await posted(worked, f"jobs/run/fv/{version}", {"x": 2}, 201)).text
    done = [await ended(worked, job) for job in (by_path, by_version)]
    assert [(job["result"], job["job_kind"], job["script_path"]) for job in done] == [
        ("4", "flow", "f/shop/add"), ("6", "flow", "f/shop/add")
    ]  # fmt: skip


async def test_a_failed_flow_answers_422_and_a_result_may_choose(worked: Running) -> None:
    failed = await posted(worked, "jobs/run_wait_result/preview_flow", {"value": FAILS}, 422)
    assert failed.json()["error"]["exit_code"] == 3
    chosen = {"modules": [step("a", 'echo \'{"windmill_status_code": 418, "result": [1]}\' > result.json')]}
    assert (await posted(worked, "jobs/run_wait_result/preview_flow", {"value": chosen}, 418)).json() == [1]


@pytest.mark.on_both_stores
async def test_callers_may_be_answered_before_the_end(worked: Running, tmp_path: Path) -> None:
    gate = tmp_path / "gate"
    held = step("b", f"while [ ! -e {gate} ]; do sleep 0.05; done; echo late")
    value = {"modules": [step("a", "echo early"), held], "early_return": "a"}
    answer = await posted(worked, "jobs/run_wait_result/preview_flow", {"value": value})
    assert answer.json() == "early"
    (job,) = await read(worked, "jobs/queue/list?job_kinds=flow,flowpreview")
    gate.touch()
    assert (await ended(worked, job["id"]))["result"] == "late"


@pytest.mark.on_both_stores
async def test_a_flow_is_shown_with_how_far_it_is(worked: Running) -> None:
    job_id = await previewed(worked, ADD, x=3)
    job = await ended(worked, job_id)
    assert (job["raw_flow"], job["is_flow_step"], job["root_job"], job["language"]) == (
        ADD,
        False,
        None,
        None,
    )
    assert job["flow_status"]["step"] == 2
    assert [(one["id"], one["type"], one["skipped"]) for one in job["flow_status"]["modules"]] == [
        ("a", "Success", False), ("b", "Success", False)
    ]  # fmt: skip
    update = await read(worked, f"jobs_u/getupdate/{job_id}")
    assert update["flow_status"] == job["flow_status"]
    first = job["flow_status"]["modules"][0]["job"]
    child = await read(worked, f"jobs_u/get/{first}")
    assert (child["parent_job"], child["root_job"], child["flow_innermost_root_job"]) == (job_id,) * 3
    assert (child["flow_step_id"], child["is_flow_step"], child["flow_status"]) == ("a", True, None)
    assert await read(worked, f"jobs_u/get_root_job_id/{first}") == job_id
    assert await read(worked, f"jobs_u/get_root_job_id/{job_id}") == job_id
    assert "flow_status" not in await read(worked, f"jobs_u/getupdate/{first}")
    assert await read(worked, f"jobs/result_by_id/{job_id}/a") == "4"


@pytest.mark.on_both_stores
async def test_lists_tell_flows_and_their_steps_apart(worked: Running) -> None:
    job_id = await previewed(worked, ADD, x=3)
    await ended(worked, job_id)
    other = await worked.preview("echo other")
    await ended(worked, other)
    for query, steps in (
        (f"parent_job={job_id}", ["b", "a"]), ("is_flow_step=true", ["b", "a"]),
        ("is_flow_step=false", [None, None]), ("job_kinds=flowpreview", [None]),
        ("job_kinds=flow,preview", [None, "b", "a"]), ("job_kinds=script", []),
    ):  # fmt: skip
        for which in ("jobs/list", "jobs/completed/list"):
            found = await read(worked, f"{which}?{query}")
            assert [one["flow_step_id"] for one in found] == steps, query
        assert await read(worked, f"jobs/queue/list?{query}") == []


@pytest.mark.on_both_stores
async def test_steps_keep_what_they_like_in_their_flow(worked: Running) -> None:
    job_id = await previewed(worked, WAITS)
    state = f"jobs/flow/user_states/{job_id}/seen"
    assert await read(worked, state) is None
    await posted(worked, state, {"n": [1]})
    assert await read(worked, state) == {"n": [1]}
    plain = await worked.preview("echo hi", tag="nowhere")
    for path in (f"jobs/flow/user_states/{plain}/k", f"jobs/result_by_id/{plain}/a"):
        assert (await worked.admin.get(f"{IN}/{path}")).status_code == 404


@pytest.mark.on_both_stores
async def test_a_flow_goes_on_by_a_signed_link_once(worked: Running) -> None:
    job_id = await previewed(worked, WAITS)
    waiting = await waits(worked, job_id)
    assert (await read(worked, f"jobs_u/get/{job_id}"))["suspend"] == 1
    assert await read(worked, "jobs/queue/count") == {"database_length": 0, "suspended": 1}
    urls = await read(worked, f"jobs/resume_urls/{waiting}/7?approver=Ana%20B")
    assert set(urls) == {"approvalPage", "resume", "cancel"}
    assert urls["resume"].startswith(f"http://cluster.test/api/w/main/jobs_u/resume/{waiting}/7/")
    stranger = worked.client(None)
    bad = await stranger.post(urls["resume"].replace("/7/", "/8/"), json={})
    assert (bad.status_code, "signature" in bad.text) == (401, True)
    assert (
        await stranger.post(urls["resume"].replace("/w/main/", "/w/no-such/"), json={})
    ).status_code == 404
    said = await stranger.post(urls["resume"], json={"ok": True})
    assert (said.status_code, said.headers["content-type"]) == (201, TEXT)
    assert (await stranger.post(urls["resume"], json={})).status_code == 400
    done = await ended(worked, job_id)
    assert json.loads(done["result"]) == {"ok": True}
    (first, _) = done["flow_status"]["modules"]
    assert first["approvers"] == [{"resume_id": 7, "approver": "Ana B"}]


async def test_a_flow_is_refused_by_a_link_that_is_only_opened(worked: Running) -> None:
    job_id = await previewed(worked, WAITS)
    urls = await read(worked, f"jobs/resume_urls/{await waits(worked, job_id)}/0")
    payload = base64.urlsafe_b64encode(b'"no"').decode()
    assert (await worked.client(None).get(f"{urls['cancel']}?payload={payload}")).status_code == 201
    done = await ended(worked, job_id)
    assert (done["success"], done["result"]["error"]["name"]) == (False, "SuspendedDisapproved")


@pytest.mark.on_both_stores
async def test_somebody_of_the_workspace_needs_no_link(worked: Running) -> None:
    first, second = await previewed(worked, WAITS), await previewed(worked, WAITS)
    for job_id in (first, second):
        await waits(worked, job_id)
    await posted(worked, f"jobs/flow/resume/{first}", [1], 201)
    await posted(worked, f"jobs_u/flow/resume_suspended/{second}", {"payload": 1, "approved": False}, 201)
    assert json.loads((await ended(worked, first))["result"]) == [1]
    assert (await ended(worked, second))["success"] is False
    assert (await worked.client(None).post(f"{IN}/jobs/flow/resume/{first}")).status_code == 401
    for path in (f"jobs/resume_urls/{first}/x", f"jobs/resume_urls/{first}/{2**32}"):
        assert (await worked.admin.get(f"{IN}/{path}")).status_code == 400


@pytest.mark.on_both_stores
async def test_an_ended_flow_is_run_again_from_a_step(worked: Running) -> None:
    job_id = await previewed(worked, ADD, x=3)
    before = await ended(worked, job_id)
    again = await ended(
        worked, (await posted(worked, f"jobs/restart/f/{job_id}", {"step_id": "b"}, 201)).text
    )
    assert (again["result"], again["args"]) == ("8", {"x": 3})
    old, new = before["flow_status"]["modules"], again["flow_status"]["modules"]
    assert (old[0]["job"] == new[0]["job"], old[1]["job"] == new[1]["job"]) == (True, False)
    assert again["flow_status"]["restarted_from"]["flow_job_id"] == job_id
    assert (await posted(worked, f"jobs/restart/f/{job_id}", {"step_id": "zz"}, 400)).text
    await posted(worked, f"jobs/restart/f/{job_id}", {"step_id": "b", "flow_version": 1}, 400)
    await posted(worked, "jobs/run/preview_flow", {"value": ADD, "restarted_from": {"step_id": "b"}}, 400)


async def test_a_cancelled_flow_takes_its_step_along(worked: Running) -> None:
    value = {"modules": [step("a", "echo begun; read -r -t 60 nothing < <(tail -f /dev/null)")]}
    job_id = await previewed(worked, value)

    async def runs() -> str:
        (module,) = await modules(worked, job_id)
        return str(module.get("job", "")) if module["type"] == "InProgress" else ""

    child = await until(runs)
    await posted(worked, f"jobs_u/queue/cancel/{job_id}", {"reason": "no"})
    done = [await ended(worked, one) for one in (child, job_id)]
    assert [(one["canceled"], one["canceled_by"]) for one in done] == [(True, "admin")] * 2


async def test_a_flow_may_ask_who_answers_it(worked: Running) -> None:
    asks = {"required_events": 1, "user_auth_required": True, "self_approval_disabled": True}
    value = {"modules": [step("a", "echo 1", asks), step("b", 'echo "$r"', r="resume")]}
    job_id = await previewed(worked, value)
    urls = await read(worked, f"jobs/resume_urls/{await waits(worked, job_id)}/1")
    await worked.store.write(lambda db: db.execute(ADD_ANA))
    ana = worked.client(await worked.cluster.tokens.create(ANA, NewPersonToken()))
    stranger = await worked.client(None).post(urls["resume"], json=1)
    assert (stranger.status_code, "logged in" in stranger.text) == (401, True)
    assert (await ana.post(f"{IN}/jobs/flow/resume/{job_id}", json=1)).status_code == 403  # not hers
    assert (await ana.post(urls["resume"], json=2)).status_code == 201
    assert (await ended(worked, job_id))["result"] == "2"

    hers = (await ana.post(f"{IN}/jobs/run/preview_flow", json={"value": value})).text
    own = await read(worked, f"jobs/resume_urls/{await waits(worked, hers)}/1")
    refused = await ana.post(own["resume"], json=1)
    assert (refused.status_code, refused.text) == (403, "who started this flow may not approve it")
    assert (await ana.post(f"{IN}/jobs/flow/resume/{hers}", json=1)).status_code == 403
    await posted(worked, f"jobs/flow/resume/{hers}", 3, 201)  # an administrator may
    assert (await ended(worked, hers))["result"] == "3"
