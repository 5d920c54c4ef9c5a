"""Both SDKs take the text of the answer as the job's id."""

from uuid import UUID

from tests.support.cluster import Running

RUN = "/api/w/main/jobs/run"


async def test_preview(cluster: Running) -> None:
    response = await cluster.admin.post(f"{RUN}/preview", json={"content": "true", "language": "bash"})
    assert response.status_code == 201
    assert response.headers["content-type"] == "text/plain; charset=utf-8"
    assert response.text == str(UUID(response.text))


async def test_by_path_and_by_hash(cluster: Running) -> None:
    script = {"path": "f/shop/rollup", "content": "true", "language": "bash", "summary": ""}
    created = await cluster.admin.post("/api/w/main/scripts/create", json=script)
    assert (created.status_code, len(created.text)) == (201, 16)
    for target in ("p/f/shop/rollup", f"h/{created.text}"):
        response = await cluster.admin.post(f"{RUN}/{target}", json={"day": 1})
        assert response.status_code == 201
        job = await cluster.job(response.text)
        assert (job["script_path"], job["job_kind"], job["args"]) == ("f/shop/rollup", "script", {"day": 1})
        assert job["raw_code"] == "true"


async def test_ids_sort_by_the_time_of_the_push(cluster: Running) -> None:
    first = await cluster.preview()
    cluster.clock.ahead_s += 1
    assert first < await cluster.preview()


async def test_a_callers_own_id_is_taken_once(cluster: Running) -> None:
    own = "0190f000-0000-7000-8000-000000000001"
    assert await cluster.preview(job_id=own) == own
    again = await cluster.admin.post(
        f"{RUN}/preview", json={"content": "true", "language": "bash"}, params={"job_id": own}
    )
    assert (again.status_code, again.text) == (400, f"job_id {own} exists already; a job is pushed once")


async def test_what_cannot_be_meant_is_refused(cluster: Running) -> None:
    for body, query, told in (
        ({"language": "bash"}, {}, "missing required field `content`"),
        ({"content": "", "language": "bash", "args": [1]}, {}, "must be a JSON object"),
        ({"content": "", "language": "bash"}, {"scheduled_for": "2030-01-01T00:00:00"}, "needs a time zone"),
        ({"content": "", "language": "bash"}, {"priority": "high"}, "query parameter"),
        ({"content": "", "language": "bash"}, {"delivery": "exactly_once"}, "query parameter"),
        ({"content": "", "language": "bash"}, {"job_id": "seven"}, "must be a UUID"),
    ):
        response = await cluster.admin.post(f"{RUN}/preview", json=body, params=query)
        assert response.status_code == 400
        assert told in response.text
    assert (await cluster.admin.post(f"{RUN}/p/f/none", json={})).status_code == 404
    assert (await cluster.admin.post(f"{RUN}/h/00000000deadbeef", json={})).status_code == 404
    assert (await cluster.admin.get("/api/w/main/jobs/list")).json() == []


async def test_arguments_are_kept_as_they_came_or_mended(cluster: Running) -> None:
    await cluster.admin.post(
        "/api/w/main/scripts/create", json={"path": "f/a", "content": "", "language": "bash"}
    )
    for sent, kept in (
        (b'{"n": 1.50, "t": "\\u00e9"}', b'"args":{"n": 1.50, "t": "\\u00e9"}'),
        (b'{"t": "\\ud800", "n": NaN}', b'"args":{"t": "?", "n": null}'),
        (b"", b'"args":{}'),
        (b"null", b'"args":{}'),
    ):
        response = await cluster.admin.post(f"{RUN}/p/f/a", content=sent)
        assert response.status_code == 201, response.text
        job = await cluster.admin.get(f"/api/w/main/jobs_u/get/{response.text}")
        assert kept in job.content
    for sent in (b'{"a": "\xff"}', b"[1]", b"{", b"[" * 100_000):
        assert (await cluster.admin.post(f"{RUN}/p/f/a", content=sent)).status_code == 400
