"""Bootstrap, login and a person's tokens."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

from agent.clock import SystemClock
from bridge.store.connection import open_store
from bridge.web.asgi import build
from bridge.web.cluster import open_cluster
from tests.support.cluster import Running, client_of

EMAIL = "admin@orvanta.local"


async def test_generated_once_and_replaced_by_the_one_given(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "bridge.db")
    try:
        first = await open_cluster(store, SystemClock(), "http://c", None)
        password = first.generated_password
        assert password is not None
        assert (await open_cluster(store, SystemClock(), "http://c", None)).generated_password is None
        assert (await open_cluster(store, SystemClock(), "http://c", "given")).generated_password is None
        client = client_of(build(first.routes), None)
        for given, status in ((password, 401), ("given", 200)):
            login = await client.post("/api/auth/login", json={"email": EMAIL, "password": given})
            assert login.status_code == status
        kept = (tmp_path / "bridge.db").read_bytes() + (tmp_path / "bridge.db-wal").read_bytes()
        assert password.encode() not in kept
        assert login.text.encode() not in kept
    finally:
        await store.close()


async def test_a_token_works_after_a_restart_and_until_it_ends(cluster: Running) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=100)).isoformat()
    made = await cluster.admin.post("/api/users/tokens/create", json={"label": "ci", "expiration": soon})
    assert (made.status_code, made.headers["content-type"]) == (201, "text/plain; charset=utf-8")
    again = await open_cluster(cluster.store, cluster.clock, "http://c", None)
    for app in (cluster.app, build(again.routes)):
        assert (await client_of(app, made.text).get("/api/users/whoami")).json()["email"] == EMAIL
    cluster.clock.ahead_s = 101
    assert (await cluster.client(made.text).get("/api/users/whoami")).status_code == 401


async def test_a_wrong_login_says_no_more_than_that(cluster: Running) -> None:
    client = cluster.client(None)
    answers = {
        (response.status_code, response.text)
        for email in (EMAIL, "nobody@orvanta.local")
        for response in [await client.post("/api/auth/login", json={"email": email, "password": "x"})]
    }
    assert answers == {(401, "Invalid login: no such e-mail, or another password")}
