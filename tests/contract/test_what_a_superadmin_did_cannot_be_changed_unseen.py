"""The audit log: an entry before each deed, no secret in it, and a chain that shows what was altered."""

import pytest

from bridge.store.store import Connection
from tests.support.cluster import PASSWORD, Running
from tests.support.databases import plain

pytestmark = pytest.mark.on_both_stores


async def test_each_deed_has_its_entry_and_none_holds_a_secret(cluster: Running) -> None:
    await cluster.client(None).post(
        "/api/auth/login", json={"email": "admin@orvanta.local", "password": PASSWORD}
    )
    body = {"worker_group": "pos", "tags": ["pos-suva"], "exp": 4102444800}
    token = (await cluster.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
    for path in ("blacklist_token", "remove_blacklist_token"):
        await cluster.admin.post(f"/api/agent_workers/{path}", json={"token": token})
    await cluster.admin.post("/api/workspaces/create", json={"id": "shops", "name": "Shops"})
    await cluster.admin.post(
        "/api/w/shops/workspaces/set_environment_variable", json={"name": "KEY", "value": "hush"}
    )
    made = (await cluster.admin.post("/api/users/tokens/create", json={"label": "ci"})).text
    listed = await cluster.admin.get("/api/audit/list")
    assert [(entry["username"], entry["operation"], entry["id"]) for entry in listed.json()] == [
        ("admin", "users.token.create", 7),
        ("admin", "workspaces.environment.set", 6),
        ("admin", "workspaces.create", 5),
        ("admin", "agent_workers.blacklist.remove", 4),
        ("admin", "agent_workers.blacklist.add", 3),
        ("admin", "agent_workers.token.create", 2),
        ("admin@orvanta.local", "users.login", 1),
    ]
    assert len({entry["resource"] for entry in listed.json()[3:6]}) == 1  # one token in two spellings
    assert listed.json()[5]["parameters"]["tags"] == ["pos-suva"]
    for secret in ("hush", token, made, PASSWORD):
        assert secret not in listed.text


@pytest.mark.parametrize(
    ("deed", "broken_at"),
    [
        ("UPDATE audit SET username = 'mallory' WHERE id = 3", 3),
        ("UPDATE audit SET parameters = '{\"a\": 1}' WHERE id = 1", 1),
        ("UPDATE audit SET hash = 'f00' WHERE id = 2", 2),
        ("DELETE FROM audit WHERE id = 4", 4),
        ("UPDATE audit SET at = at - 1 WHERE id = 5", 5),
    ],
)
async def test_an_altered_entry_is_named(cluster: Running, deed: str, broken_at: int) -> None:
    for number in range(5):
        await cluster.admin.post("/api/workspaces/create", json={"id": f"w{number}", "name": "W"})
    whole = (await cluster.admin.get("/api/audit/verify")).json()
    head = (await cluster.admin.get("/api/audit/list?per_page=1")).json()[0]["hash"]
    assert whole == {"entries": 5, "head": head, "broken_at": None}

    def alter(connection: Connection) -> None:
        connection.execute(plain(deed))

    await cluster.store.write(alter)
    assert (await cluster.admin.get("/api/audit/verify")).json()["broken_at"] == broken_at


async def test_the_page_shows_it_and_names_what_was_altered(cluster: Running) -> None:
    for number in range(52):
        await cluster.cluster.audit.note("admin", "workspaces.create", f"<w{number}>", name=["W"])
    newest, older = [(await cluster.admin.get(f"/audit?page={page}")).text for page in (1, 2)]
    assert "&lt;w51&gt;" in newest
    assert "name [&#34;W&#34;]" in newest
    assert "&lt;w1&gt;" in older
    assert "&lt;w1&gt;" not in newest
    assert "The chain is whole" in (await cluster.admin.get("/audit/verify")).text

    def alter(connection: Connection) -> None:
        connection.execute(plain("UPDATE audit SET username = 'mallory' WHERE id = 3"))

    await cluster.store.write(alter)
    assert "Entry 3 was altered" in (await cluster.admin.get("/audit/verify")).text


async def test_only_a_superadmin_reads_it(cluster: Running) -> None:
    for path in ("list", "verify"):
        assert (await cluster.client(None).get(f"/api/audit/{path}")).status_code == 401
