"""Variables, resources and their types over HTTP, as the SDKs use them (agent-api.md 8.5)."""

import pytest

from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

IN = "/api/w/main"


async def test_the_life_of_a_variable(cluster: Running) -> None:
    at = f"{IN}/variables"
    new = {"path": "u/admin/x", "value": "1", "is_secret": False, "description": ""}
    assert (await cluster.admin.get(f"{at}/get/u/admin/x")).status_code == 404
    assert (await cluster.admin.get(f"{at}/exists/u/admin/x")).content == b"false"
    assert (await cluster.admin.post(f"{at}/create", json=new)).status_code == 201
    again = await cluster.admin.post(f"{at}/create", json=new)
    assert (again.status_code, again.headers["content-type"]) == (400, "text/plain; charset=utf-8")
    assert (await cluster.admin.post(f"{at}/update/u/admin/x", json={"value": "2"})).status_code == 200
    assert (await cluster.admin.get(f"{at}/get_value/u/admin/x")).content == b'"2"'
    assert (await cluster.admin.get(f"{at}/get/u/admin/x")).json() == {
        "workspace_id": "main", "path": "u/admin/x", "value": "2", "is_secret": False, "description": "",
        "account": None, "is_oauth": False, "is_expired": False, "is_linked": False, "extra_perms": {},
        "offline": False,
    }  # fmt: skip
    moved = await cluster.admin.post(f"{at}/update/u/admin/x", json={"path": "u/admin/y"})
    assert moved.text == "variable u/admin/y updated"
    assert (await cluster.admin.delete(f"{at}/delete/u/admin/y")).status_code == 200
    assert (await cluster.admin.delete(f"{at}/delete/u/admin/y")).status_code == 404


async def test_the_life_of_a_resource(cluster: Running) -> None:
    at = f"{IN}/resources"
    value = '{"n":1.50,"big":12345678901234567890123}'
    body = f'{{"path":"f/shop/db","resource_type":"sqlite","value":{value}}}'
    assert (await cluster.admin.get(f"{at}/get/f/shop/db")).status_code == 404
    made = await cluster.admin.post(f"{at}/create", content=body)
    assert (made.status_code, made.text) == (201, "resource f/shop/db created")
    assert (await cluster.admin.post(f"{at}/create", content=body)).status_code == 400
    update = {"update_if_exists": "true"}
    assert (await cluster.admin.post(f"{at}/create", content=body, params=update)).status_code == 201
    for read in ("get_value", "get_value_interpolated"):
        assert (await cluster.admin.get(f"{at}/{read}/f/shop/db")).text == value  # to the last digit
    found = (await cluster.admin.get(f"{at}/get/f/shop/db")).json()
    assert found.pop("edited_at").endswith("Z")
    assert found.pop("value")["n"] == 1.5
    assert found == {
        "workspace_id": "main", "path": "f/shop/db", "resource_type": "sqlite", "description": "",
        "created_by": "admin", "is_oauth": False, "is_expired": False, "is_linked": False, "extra_perms": {},
        "offline": False,
    }  # fmt: skip
    assert (await cluster.admin.post(f"{at}/update_value/f/shop/db", json={"value": None})).status_code == 200
    assert (await cluster.admin.get(f"{at}/get_value/f/shop/db")).content == b"null"
    listed = (await cluster.admin.get(f"{at}/list", params={"resource_type": "sqlite"})).json()
    assert [(one["path"], one["value"]) for one in listed] == [("f/shop/db", None)]
    assert (await cluster.admin.get(f"{at}/list", params={"resource_type_exclude": "sqlite"})).json() == []
    described = await cluster.admin.post(f"{at}/update/f/shop/db", json={"description": "the till"})
    assert described.text == "resource f/shop/db updated"
    assert (await cluster.admin.delete(f"{at}/delete/f/shop/db")).status_code == 200
    assert (await cluster.admin.get(f"{at}/exists/f/shop/db")).content == b"false"


async def test_the_life_of_a_resource_type(cluster: Running) -> None:
    at = f"{IN}/resources/type"
    new = {"name": "sqlite", "schema": {"type": "object"}, "description": "a file"}
    assert (await cluster.admin.post(f"{at}/create", json=new)).status_code == 201
    assert (await cluster.admin.post(f"{at}/create", json=new)).status_code == 400
    assert (await cluster.admin.get(f"{at}/listnames")).json() == ["sqlite"]
    assert (await cluster.admin.post(f"{at}/update/sqlite", json={"description": "db"})).status_code == 200
    found = (await cluster.admin.get(f"{at}/get/sqlite")).json()
    assert (found["schema"], found["description"], found["created_by"]) == ({"type": "object"}, "db", "admin")
    assert (await cluster.admin.get(f"{at}/list")).json() == [found]
    assert (await cluster.admin.delete(f"{at}/delete/sqlite")).status_code == 200
    assert (await cluster.admin.get(f"{at}/exists/sqlite")).content == b"false"
    assert (await cluster.admin.get(f"{at}/get/sqlite")).status_code == 404


@pytest.mark.parametrize("path", ["", "/u/x", "u//x", "u/x/", "u/\n/x", "x" * 256])
async def test_what_is_no_path_is_refused(cluster: Running, path: str) -> None:
    variable = {"path": path, "value": "1"}
    assert (await cluster.admin.post(f"{IN}/variables/create", json=variable)).status_code == 400
    resource = {"path": path, "value": 1, "resource_type": "x"}
    assert (await cluster.admin.post(f"{IN}/resources/create", json=resource)).status_code == 400
