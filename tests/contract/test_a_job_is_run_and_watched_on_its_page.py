"""/runs, /runs/new and /run/<id>: what people run, see and stop there."""

import json
import re
from collections import Counter
from urllib.parse import urlsplit

import httpx
import pytest

from bridge.fleet.service import Fleets
from bridge.pages.rendering import Rendering
from bridge.relay.ledger import Ledger
from bridge.relay.policy import Policies
from bridge.runs.model import Way
from bridge.runs.service import PIECE_CHARS, LogPiece, Runs, Wanted
from tests.support.cluster import Running, served
from tests.support.until import until
from tests.support.viewing import LIVE, viewer

pytestmark = pytest.mark.on_both_stores

SCRIPT = {"script": "f/shop/greet", "arg.name": "x"}
GREET = "def main(name: str, times: int = 2, loud: bool = False):\n    return name * times\n"


def runs_of(cluster: Running, **limits: int) -> Runs:
    store, clock, jobs = cluster.store, cluster.clock, cluster.cluster.jobs
    fleets = Fleets(store, cluster.cluster.bulletin, clock, Ledger(store, clock).presence.record)
    return Runs(store, clock, jobs.heartbeats, Policies(), fleets, Way, **limits)


async def pushed(cluster: Running, **form: str) -> tuple[httpx.Response, str]:
    """The answer to the form, and the new job's id."""
    answer = await cluster.admin.post("/runs/new", data={"workspace": "main", **form})
    return answer, urlsplit(answer.headers.get("location", "")).path.removeprefix("/run/")


async def deployed(cluster: Running, path: str, content: str, language: str, **more: object) -> None:
    body = {"path": path, "content": content, "language": language, **more}
    assert (await cluster.admin.post("/api/w/main/scripts/create", json=body)).status_code == 201


async def ended(cluster: Running, job_id: str, result: object, *, success: bool = True) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.post("/api/agent_workers/pull_job")).json()["job"]["id"] == job_id
    body = {"success": success, "result": result, "job": {}}
    answer = await agent.post(f"/api/w/main/agent_workers/send_result/{job_id}", json=body)
    assert answer.status_code == 200, answer.text


@pytest.fixture
async def listed(cluster: Running) -> list[str]:
    return [await cluster.preview(tag=tag) for tag in ("bash", "pos", "pos")]


async def test_code_is_run_with_its_arguments(cluster: Running) -> None:
    answer, job_id = await pushed(
        cluster, language="bash", code='echo "$1"\r\n', args='{"a": 1}', tag="pos-suva"
    )
    assert answer.status_code == 303
    job = await cluster.job(job_id)
    assert (job["raw_code"], job["args"], job["tag"]) == ('echo "$1"\n', {"a": 1}, "pos-suva")
    page = (await cluster.admin.get(f"/run/{job_id}")).text
    assert "waiting for tag pos-suva: no agent has it" in page


@pytest.mark.parametrize(
    ("form", "why"),
    [
        ({"language": "bash", "code": "x", "args": "[1]"}, "must be a JSON object"),
        ({"language": "bash", "code": "x", "args": "{"}, "are not JSON"),
        ({"language": "bash", "code": " "}, "there is no code to run"),
        ({"language": "cobol", "code": "x"}, "the language must be one of"),
        ({"language": "bash", "code": "x", "timeout": "soon"}, "timeout must be a whole number"),
    ],
)
async def test_what_is_wrong_is_said_and_what_was_typed_stays(
    cluster: Running, form: dict[str, str], why: str
) -> None:
    answer, _ = await pushed(cluster, **form)
    assert answer.status_code == 400
    assert why in answer.text
    assert f">{form['code'].strip()}" in answer.text


async def test_a_scripts_form_is_made_from_its_signature(cluster: Running) -> None:
    await deployed(cluster, "f/shop/greet", GREET, "python3")
    page = (await cluster.admin.get("/runs/new?workspace=main&script=f/shop/greet")).text
    assert re.search(r'name="arg.name"[^>]*required', page)
    assert re.search(r'name="arg.times" value="2"', page)
    wrong, _ = await pushed(cluster, script="f/shop/greet", **{"arg.times": "many"})
    assert wrong.status_code == 400
    assert "name is needed" in wrong.text
    assert "times must be a whole number" in wrong.text
    right = {"arg.name": "bula", "arg.times": "3", "arg.loud": "true"}
    answer, job_id = await pushed(cluster, script="f/shop/greet", **right)
    assert answer.status_code == 303, answer.text
    job = await cluster.job(job_id)
    assert (job["args"], job["script_path"]) == ({"name": "bula", "times": 3, "loud": True}, "f/shop/greet")


async def test_a_schema_wins_over_the_signature(cluster: Running) -> None:
    schema = {"properties": {"shop": {"type": "string", "enum": ["suva", "nadi"]}}, "required": ["shop"]}
    await deployed(cluster, "f/shop/pick", 'x="$1"', "bash", schema=schema)
    page = (await cluster.admin.get("/runs/new?workspace=main&script=f/shop/pick")).text
    assert "<option>nadi</option>" in page
    answer, _ = await pushed(cluster, script="f/shop/pick", **{"arg.shop": "lautoka"})
    assert "shop must be one of suva, nadi" in answer.text


async def test_the_list_shows_what_was_asked_for(cluster: Running, listed: list[str]) -> None:
    await cluster.admin.post(f"/run/{listed[2]}/cancel", data={"reason": "enough"})

    async def shown(**query: str) -> list[str]:
        page = await cluster.admin.get("/runs", params=query)
        assert page.status_code == 200
        return re.findall(r'id="run-([^"]+)"', page.text)

    assert await shown() == listed[::-1]
    assert await shown(tag="pos") == [listed[2], listed[1]]
    assert await shown(state="waiting") == [listed[1], listed[0]]
    assert await shown(state="open", tag="pos") == [listed[1]]
    assert await shown(state="canceled") == [listed[2]]
    assert await shown(state="success") == []
    assert await shown(created_by="nobody") == []
    await ended(cluster, listed[0], 1)
    assert await shown(worker="ag-pos-till-a1b2c") == [listed[0]]
    assert (await cluster.admin.get("/runs?state=lost")).status_code == 400


async def test_the_list_has_pages(cluster: Running, listed: list[str]) -> None:
    runs = runs_of(cluster, per_page=2)
    first = await runs.listed(Wanted(workspace="main"))
    assert [row["id"] for row in first.runs] == [listed[2], listed[1]]
    second = await runs.listed(Wanted(workspace="main", before=first.older))
    assert ([row["id"] for row in second.runs], second.older) == ([listed[0]], "")
    page = (await cluster.admin.get("/runs", params={"before": first.older})).text
    assert re.findall(r'id="run-([^"]+)"', page) == [listed[0]]
    assert "sse-connect" not in page  # what is older stays as it is


async def test_a_filter_looks_through_so_many_jobs_at_a_time(cluster: Running, listed: list[str]) -> None:
    runs = runs_of(cluster, scan=2)
    first = await runs.listed(Wanted(workspace="main", tag="bash"))
    assert (list(first.runs), first.looked_through) == ([], 2)
    second = await runs.listed(Wanted(workspace="main", tag="bash", before=first.older))
    assert [row["id"] for row in second.runs] == [listed[0]]
    newest = await runs.listed(Wanted(workspace="main", before="soon~x"))
    assert newest.runs[0]["id"] == listed[2]


async def test_a_result_is_a_table_when_it_is_a_list_of_rows(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    await ended(cluster, job_id, [{"shop": "Suva", "sold": 3}, {"shop": "<b>", "left": [1]}])
    page = (await cluster.admin.get(f"/run/{job_id}")).text
    assert re.findall(r'<th scope="col">(\w+)</th>', page) == ["shop", "sold", "left"]
    assert "<td>&lt;b&gt;</td><td></td><td>[1]</td>" in page


async def test_an_error_is_said_first(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    await ended(cluster, job_id, {"name": "ValueError", "message": "no such shop"}, success=False)
    page = (await cluster.admin.get(f"/run/{job_id}")).text
    assert '<p class="wrong">ValueError: no such shop</p>' in page
    assert ": failure" in page


async def test_a_huge_log_begins_with_its_end(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    text = "first\n" + "x" * 200_000 + "\x1b[31mlast & least\x1b[0m\r\n"
    await cluster.cluster.jobs.append_log("main", job_id, text)
    page = (await cluster.admin.get(f"/run/{job_id}")).text
    assert "xxlast &amp; least\n</pre>" in page
    assert "first" not in page.split('id="log"')[1].split("</pre>")[0]
    assert len(page) < 100_000
    assert f"/api/w/main/jobs_u/get_logs/{job_id}" in page


async def test_progress_is_a_bar(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    agent = await cluster.agent("bash")
    await agent.post("/api/agent_workers/pull_job")
    await cluster.admin.post(f"/api/w/main/job_metrics/set_progress/{job_id}", json={"percent": 40})
    for path in (f"/run/{job_id}", "/runs"):
        assert re.search(
            r'<progress class="progress" max="100" value="40"', (await cluster.admin.get(path)).text
        )


async def test_a_job_is_cancelled_with_its_reason(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    answer = await cluster.admin.post(f"/run/{job_id}/cancel", data={"reason": "wrong shop"})
    assert (answer.status_code, answer.headers["location"]) == (303, f"/run/{job_id}")
    page = (await cluster.admin.get(f"/run/{job_id}")).text
    assert "cancelled by admin (wrong shop)" in page
    again = await cluster.admin.post(f"/run/{job_id}/cancel", data={"reason": ""})
    assert again.status_code == 404
    assert "completed already" in again.text


async def test_what_runs_ends_now_when_it_is_asked_for(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    agent = await cluster.agent("bash")
    await agent.post("/api/agent_workers/pull_job")
    await cluster.admin.post(f"/run/{job_id}/cancel", data={"reason": ""})
    assert (await cluster.job(job_id))["type"] == "QueuedJob"
    await cluster.admin.post(f"/run/{job_id}/cancel", data={"now": "1"})
    assert (await cluster.job(job_id))["type"] == "CompletedJob"


@pytest.mark.parametrize("form", [SCRIPT, {"language": "bash", "code": "echo"}])
async def test_a_job_is_run_again_as_it_was(cluster: Running, form: dict[str, str]) -> None:
    await deployed(cluster, "f/shop/greet", GREET, "python3")
    _, job_id = await pushed(cluster, tag="pos", delivery="at_most_once", **form)
    answer = await cluster.admin.post(f"/run/{job_id}/again")
    other = urlsplit(answer.headers["location"]).path.removeprefix("/run/")
    assert other != job_id
    before, after = await cluster.job(job_id), await cluster.job(other)
    same = ("args", "tag", "delivery", "script_hash", "raw_code", "language", "workspace_id")
    assert {name: after[name] for name in same} == {name: before[name] for name in same}


async def test_where_a_job_is_can_be_read_by_a_script(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash", scheduled_in_secs=600)
    found = (await cluster.admin.get(f"/run/{job_id}/custody")).json()
    assert found["mood"] == "waits"
    assert found["why"].startswith("scheduled for ")
    steps = [(step["name"], step["reached"]) for step in found["attempts"][0]["steps"]]
    assert steps == [("cluster", "now"), ("worker", "ahead"), ("delivered", "ahead")]
    assert (await cluster.admin.get("/run/nothing")).status_code == 404
    assert json.dumps(found)


async def test_the_page_moves_by_itself_and_sends_only_what_is_new(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    await cluster.cluster.jobs.append_log("main", job_id, "before\n")
    async with (
        served(cluster.app) as url,
        httpx.AsyncClient(base_url=url, headers=cluster.admin.headers) as client,
    ):
        (path,) = LIVE.findall((await client.get(f"/run/{job_id}")).text)
        async with viewer(client, path.replace("&amp;", "&")) as seen:
            await cluster.cluster.jobs.append_log("main", job_id, "<after>\n")
            await until(lambda: "&lt;after&gt;" in seen.text, within_s=5)
            came = Counter(seen.events)  # a slow machine sees the page's own words change meanwhile
            assert came["log"] == 1
            assert max(came.values()) == 1
            await client.post(f"/run/{job_id}/cancel", data={"reason": "enough"})
            await until(lambda: "result" in seen.events, within_s=5)
            assert "cancelled by admin (enough)" in seen.text
            assert "before" not in seen.text


async def test_a_log_goes_on_from_where_a_page_is(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    runs = runs_of(cluster)
    assert (await runs.log(job_id, None)) == LogPiece("", 0, 0)
    await cluster.cluster.jobs.append_log("main", job_id, "one\ntwo\n")
    assert (await runs.log(job_id, 4)) == LogPiece("two\n", 4, 8)
    assert (await runs.log(job_id, 8)) == LogPiece("", 8, 8)


async def test_text_that_comes_too_fast_is_left_out_and_marked(cluster: Running) -> None:
    job_id = await cluster.preview(tag="bash")
    await cluster.cluster.jobs.append_log("main", job_id, "x" * 100_000 + "<end>")
    piece = await runs_of(cluster).log(job_id, 5)
    assert (piece.end, len(piece.text)) == (100_005, PIECE_CHARS)
    values = {"text": piece.text, "start": piece.start, "end": piece.end, "left_out": piece.start - 5}
    shown = Rendering().text("_log.html", values)
    assert f"{piece.start - 5} characters are left out here" in shown
    assert 'data-start="5"' in shown
    assert shown.endswith("&lt;end&gt;</span>")
