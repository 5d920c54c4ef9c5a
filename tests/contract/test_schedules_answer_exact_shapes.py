"""The schedule endpoints, with the names of the original."""

from datetime import UTC, datetime

from tests.support.cluster import Running

IN = "/api/w/main/schedules"
NEW = {
    "path": "u/admin/nightly", "schedule": "0 30 2 * * *", "timezone": "Europe/Paris",
    "script_path": "f/shop/rollup", "is_flow": False, "args": {"n": 1}, "summary": "By night",
}  # fmt: skip


async def test_create_get_list_exists_delete(cluster: Running) -> None:
    created = await cluster.admin.post(f"{IN}/create", json=NEW)
    assert (created.status_code, created.text) == (200, "u/admin/nightly")
    assert created.headers["content-type"] == "text/plain; charset=utf-8"
    row = (await cluster.admin.get(f"{IN}/get/u/admin/nightly")).json()
    edited_at = row.pop("edited_at")
    assert abs(datetime.fromisoformat(edited_at).timestamp() - cluster.clock.wall_s()) < 60
    nothing = dict.fromkeys((
        "error", "on_failure", "on_failure_times", "on_failure_exact", "on_failure_extra_args", "on_recovery",
        "on_recovery_times", "on_recovery_extra_args", "on_success", "on_success_extra_args", "retry",
        "description", "tag", "paused_until", "dynamic_skip",
    ))  # fmt: skip
    assert row == NEW | nothing | {
        "workspace_id": "main", "edited_by": "admin", "email": "admin@orvanta.local",
        "permissioned_as": "u/admin", "enabled": False, "extra_perms": {}, "ws_error_handler_muted": False,
        "no_flow_overlap": False, "cron_version": "v2",
    }  # fmt: skip
    assert (await cluster.admin.get(f"{IN}/list")).json() == [row | {"edited_at": edited_at}]
    for query, count in (({"path": "f/shop/rollup"}, 1), ({"path": "f/x"}, 0), ({"path_start": "u/"}, 1),
                         ({"path_start": "f/"}, 0), ({"is_flow": True}, 0), ({"page": 2}, 0)):  # fmt: skip
        assert len((await cluster.admin.get(f"{IN}/list", params=query)).json()) == count, query
    assert (await cluster.admin.get(f"{IN}/exists/u/admin/nightly")).content == b"true"
    assert (await cluster.admin.delete(f"{IN}/delete/u/admin/nightly")).status_code == 200
    assert (await cluster.admin.get(f"{IN}/exists/u/admin/nightly")).content == b"false"
    assert (await cluster.admin.get(f"{IN}/get/u/admin/nightly")).status_code == 404


async def test_preview_tells_the_next_five(cluster: Running) -> None:
    cluster.clock.ahead_s = datetime(2030, 3, 30, tzinfo=UTC).timestamp() - cluster.clock.wall_s()
    body = {"schedule": "0 30 2 * * *", "timezone": "Europe/Paris"}
    told = (await cluster.admin.post("/api/schedules/preview", json=body)).json()
    assert [one[:16] for one in told] == [
        "2030-03-30T01:30", "2030-03-31T01:00", "2030-04-01T00:30", "2030-04-02T00:30", "2030-04-03T00:30",
    ]  # fmt: skip


async def test_what_is_not_there_is_told(cluster: Running) -> None:
    change = {"schedule": "0 0 0 * * *", "timezone": "UTC", "args": {}}
    for method, path, body in (
        ("POST", "update/u/none", change),
        ("POST", "setenabled/u/none", {"enabled": True}),
        ("DELETE", "delete/u/none", None),
        ("GET", "get/u/none", None),
    ):
        answer = await cluster.admin.request(method, f"{IN}/{path}", json=body)
        assert (answer.status_code, "schedule 'u/none' not found" in answer.text) == (404, True)


async def test_what_cannot_be_kept_is_refused(cluster: Running) -> None:
    for wrong, told in (
        ({"schedule": "* * * * *"}, "needs 6 fields"),
        ({"schedule": f"{'9' * 5000} * * * * *"}, "the body does not fit"),
        ({"timezone": "Mars/Olympus"}, "IANA name"),
        ({"is_flow": True, "retry": {"constant": {"attempts": 1}}}, "a flow is not retried as a whole"),
        ({"on_failure": "script/f/x"}, "on_failure is not served"),
        ({"dynamic_skip": "f/x"}, "dynamic_skip is not served"),
        ({"cron_version": "v1"}, "cron_version must be v2"),
        ({"retry": {"constant": {"attempts": 1}, "retry_if": {"expr": "true"}}}, "retry_if is not served"),
        ({"args": [1]}, "must be a JSON object"),
        ({"paused_until": "2030-01-01T00:00:00"}, "needs a time zone"),
        ({"paused_until": "9999-12-31T23:59:59Z"}, "never comes"),
        ({"path": "u//x"}, "path must be words"),
    ):
        answer = await cluster.admin.post(f"{IN}/create", json=NEW | wrong)
        assert (answer.status_code, told in answer.text) == (400, True), (wrong, answer.text)
    assert (await cluster.admin.get(f"{IN}/list")).json() == []
    await cluster.admin.post(f"{IN}/create", json=NEW)
    again = await cluster.admin.post(f"{IN}/create", json=NEW)
    assert (again.status_code, "exists already" in again.text) == (400, True)
