"""Minting says how to mend a bad request; verifying trusts nothing but signature and time."""

import time

import jwt
import pytest

from tests.support.cluster import Running

MINT = "/api/agent_workers/create_agent_token"
TRY = "/api/agent_workers/get_min_version"


async def mint(cluster: Running, **changed: object) -> str:
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + 3600, **changed}
    response = await cluster.admin.post(MINT, json=body)
    assert response.status_code == 200, response.text
    assert response.headers["content-type"] == "application/json"
    return str(response.json())


async def test_the_minted_form(cluster: Running) -> None:
    minted = await mint(cluster, tags=["bash", "pos-é"], exp=2_000_000_000)
    header, payload = (
        jwt.get_unverified_header(minted.removeprefix("jwt_agent_")),
        jwt.decode(minted.removeprefix("jwt_agent_"), options={"verify_signature": False}),
    )
    assert header == {"alg": "HS256", "typ": "JWT"}
    expected = {"worker_group": "pos", "suffix": None, "tags": ["bash", "pos-é"], "exp": 2_000_000_000}
    assert len(payload.pop("jti")) == 16  # no two tokens are the same one
    assert payload == expected


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"exp": None}, "exp is missing"),
        ({"exp": 1_600_000_000}, "in the past"),
        ({"tags": []}, "name at least one tag"),
        ({"tags": ["bash", ""]}, "a tag is empty"),
        ({"tags": ["é" * 34]}, "204 bytes percent-encoded"),
        ({"worker_group": ""}, "worker_group must be"),
        ({"worker_group": "a b"}, "worker_group must be"),
        ({"suffix": "x/y"}, "suffix must be"),
    ],
)
async def test_a_bad_request_is_told_how_to_mend(
    cluster: Running, changed: dict[str, object], told: str
) -> None:
    body = {"worker_group": "pos", "tags": ["bash"], "exp": int(time.time()) + 3600, **changed}
    response = await cluster.admin.post(MINT, json=body)
    assert response.status_code == 400
    assert told in response.text


async def test_tags_of_normal_workers_are_minted_with_a_warning(cluster: Running) -> None:
    body = {"worker_group": "pos", "exp": int(time.time()) + 3600}
    warned = await cluster.admin.post(MINT, json={**body, "tags": ["bash", "flow", "dependency-lab\n"]})
    assert (warned.status_code, type(warned.json())) == (200, str)
    assert warned.headers["orvanta-warning"].startswith("'flow', 'dependency-lab\\n': no agent gets a job")
    assert "orvanta-warning" not in (await cluster.admin.post(MINT, json={**body, "tags": ["bash"]})).headers
    first, second = (await cluster.admin.get("/api/audit/list")).json()[:2]
    assert ("warning" in first["parameters"], "warning" in second["parameters"]) == (False, True)


async def test_the_worker_is_named_by_group_and_suffix(cluster: Running) -> None:
    rest = (await mint(cluster)).removeprefix("jwt_agent_")
    for suffix in ("till-a1b2c", "till-a1b2c_label_2"):
        claims = await cluster.cluster.tokens.verify_agent(f"jwt_agent_{suffix}_{rest}")
        assert claims is not None
        assert (claims.worker, claims.worker_group) == (f"ag-pos-{suffix}", "pos")
        assert [*claims.tags] == ["bash"]


async def test_what_proves_nothing_is_401(cluster: Running) -> None:
    minted = await mint(cluster)
    rest = minted.removeprefix("jwt_agent_")
    unsigned = jwt.encode({"worker_group": "pos", "tags": ["bash"], "exp": 2_000_000_000}, "", "none")
    user = cluster.admin.headers["authorization"].removeprefix("Bearer ")
    bound = (await mint(cluster, suffix="till-1")).removeprefix("jwt_agent_")
    for bearer in (
        None,
        minted,
        "jwt_agent_",
        f"jwt_agent_till-a1b2c_{rest[:-4]}AAAA",
        f"jwt_agent_till-a1b2c_{unsigned}",
        f"jwt_agent_#_{rest}",
        f"jwt_agent_till-2_{bound}",
        user,
    ):
        response = await cluster.client(bearer).get(TRY)
        assert response.status_code == 401, bearer
        assert response.text.startswith("Unauthorized")
    assert (await cluster.client(f"jwt_agent_till-1_{bound}").get(TRY)).status_code == 200


async def test_its_end_is_checked_every_time(cluster: Running) -> None:
    agent = await cluster.agent("bash")
    assert (await agent.get(TRY)).status_code == 200
    cluster.clock.ahead_s = 3601
    assert (await agent.get(TRY)).status_code == 401


async def test_only_a_superadmin_mints(cluster: Running) -> None:
    await cluster.preview()
    agent = await cluster.agent("bash")
    pulled = (await agent.post("/api/agent_workers/pull_job", content=b"null")).json()
    body = {"worker_group": "pos", "tags": ["bash"], "exp": 2_000_000_000}
    assert (await agent.post(MINT, json=body)).status_code == 401
    assert (await cluster.client(pulled["token"]).post(MINT, json=body)).status_code == 403
