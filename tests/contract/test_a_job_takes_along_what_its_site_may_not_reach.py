"""State, variables and resources that a job may ask for where there is no link come with it, sealed."""

import base64
import json
from typing import Any

import pytest

from agent.sealed_values import Sealed, unseal
from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.agent_api import state_path
from agent.wire.claims import Attempt, Claims, Tag, WorkerName
from bridge.devices.service import Shown
from bridge.errors import ChallengeNeeded
from bridge.jobs.model import Completion
from bridge.offline.names import asks_for_state, named_in
from bridge.relay.ledger import Ledger
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import Pulled
from tests.support.cluster import Running

pytestmark = pytest.mark.on_both_stores

ASKS = """
import wmill
def main():
    wmill.get_variable("f/shop/key"); wmill.get_variable("f/shop/secret"); wmill.get_variable("f/shop/none")
    return wmill.get_resource("$res:f/shop/db"), wmill.get_state()
"""
STATE = "u/admin/stock/user"


async def made(cluster: Running, kind: str, **body: Any) -> None:
    answer = await cluster.admin.post(f"/api/w/main/{kind}/create", json=body)
    assert answer.status_code == 201, answer.text


async def with_values(cluster: Running) -> None:
    await made(cluster, "variables", path="f/shop/key", value="k3y", is_secret=True, offline=True)
    await made(cluster, "variables", path="f/shop/secret", value="stays", is_secret=True)
    value = {"key": "$var:f/shop/key"}
    await made(cluster, "resources", path="f/shop/db", resource_type="db", value=value, offline=True)


async def enrolled(cluster: Running, tag: str, count: int = 1) -> list[SigningKey]:
    """Agents of this tag as enrolment leaves them, each with a device."""
    devices = [SigningKey.made() for _ in range(count)]
    for number, device in enumerate(devices):
        worker = WorkerName(f"ag-pos-{tag}-{number}")
        claims = Claims(worker=worker, worker_group="pos", tags=frozenset((Tag(tag),)), expires_s=2e9)
        await Ledger(cluster.store, cluster.clock).enrol(claims, "0", 1)
        await bound(cluster, claims, device)
    return devices


async def bound(cluster: Running, claims: Claims, device: SigningKey) -> None:
    shown, bearer = Shown(base64.b64encode(device.public).decode()), f"bearer of {claims.worker}"
    with pytest.raises(ChallengeNeeded) as asked:
        await cluster.cluster.devices.bind(bearer, claims, shown)
    shown.challenge = asked.value.challenge
    _, signature = device.sign(proofs.enrolment(shown.challenge))
    shown.signature = base64.b64encode(signature).decode()
    await cluster.cluster.devices.bind(bearer, claims, shown)


async def pulled(cluster: Running, tag: str = "pos") -> Pulled:
    inner = cluster.cluster
    source = LocalSource(inner.jobs, inner.environments, inner.details, inner.luggage)
    job = await source.pull(frozenset((Tag(tag),)))
    assert job is not None
    return job


async def test_what_is_marked_comes_sealed_and_the_rest_says_why(cluster: Running) -> None:
    await with_values(cluster)
    (device,) = await enrolled(cluster, "pos")
    await cluster.preview(ASKS, language="python3", tag="pos")
    job = await pulled(cluster)
    opened = unseal(job.job_id, Sealed(job.sealed, job.sealed_for), device.kid, device.raw)
    assert opened == {"$var:f/shop/key": "k3y", "$res:f/shop/db": {"key": "k3y"}}
    assert job.takes_states
    assert job.withheld == {
        "$var:f/shop/secret": "it is not marked for offline use; set `offline` of the variable",
        "$var:f/shop/none": "Variable f/shop/none not found in workspace main",
    }


@pytest.mark.parametrize(("devices", "why"), [(0, "no agent of this tag"), (17, "more than 16 devices")])
async def test_it_is_sealed_for_few_or_for_nobody(cluster: Running, devices: int, why: str) -> None:
    await with_values(cluster)
    await enrolled(cluster, "pos", devices)
    await enrolled(cluster, "other")
    await cluster.preview(ASKS, language="python3", tag="pos")
    job = await pulled(cluster)
    assert not job.sealed
    assert why in job.withheld["$var:f/shop/key"]


async def test_the_mark_is_set_shown_and_taken_away(cluster: Running) -> None:
    await with_values(cluster)
    for kind, path in (("variables", "f/shop/key"), ("resources", "f/shop/db")):
        room = f"/api/w/main/{kind}"
        assert (await cluster.admin.get(f"{room}/get/{path}")).json()["offline"] is True
        listed = (await cluster.admin.get(f"{room}/list")).json()
        assert {one["path"]: one["offline"] for one in listed}[path] is True
        await cluster.admin.post(f"{room}/update/{path}", json={"description": "as before"})
        assert (await cluster.admin.get(f"{room}/get/{path}")).json()["offline"] is True
        await cluster.admin.post(f"{room}/update/{path}", json={"offline": False})
        assert (await cluster.admin.get(f"{room}/get/{path}")).json()["offline"] is False


async def ended(cluster: Running, job_id: str, states: dict[str, str]) -> None:
    completion = Completion(success=True, result=b"1", states=states)
    await cluster.cluster.jobs.complete("main", job_id, completion)


async def state_of(cluster: Running) -> Any:
    answer = await cluster.admin.get(f"/api/w/main/resources/get/{STATE}")
    return answer.json()["value"] if answer.status_code == 200 else None


async def test_a_result_sets_its_scripts_state_and_nothing_else(cluster: Running) -> None:
    await made(cluster, "resources", path="f/shop/db", resource_type="db", value=1)
    job = await cluster.preview(ASKS, language="python3", tag="pos", path="u/admin/stock")
    assert (await pulled(cluster)).state == ""
    await ended(cluster, job, {STATE: '{"runs": 1}', "f/shop/db": "2", "u/admin/other/user": "3"})
    assert await state_of(cluster) == {"runs": 1}
    assert (await cluster.admin.get("/api/w/main/resources/get_value/f/shop/db")).json() == 1
    assert (await cluster.admin.get("/api/w/main/resources/exists/u/admin/other/user")).json() is False
    await cluster.preview(ASKS, language="python3", tag="pos", path="u/admin/stock")
    assert json.loads((await pulled(cluster)).state) == {"runs": 1}


async def test_whoever_was_handed_out_later_has_the_last_word(cluster: Running) -> None:
    first, second = [await cluster.preview(ASKS, tag="pos", path="u/admin/stock") for _ in range(2)]
    await pulled(cluster)
    cluster.clock.ahead_s += 10
    await pulled(cluster)
    await ended(cluster, second, {STATE: '"second"'})
    await ended(cluster, first, {STATE: '"first"'})  # it was slower, and began with less
    await ended(cluster, second, {STATE: '"late attempt"'})
    assert await state_of(cluster) == "second"
    cluster.clock.ahead_s += 10
    await cluster.admin.post(f"/api/w/main/resources/update_value/{STATE}", json={"value": "a person's"})
    await cluster.preview(ASKS, tag="pos", path="u/admin/stock")
    job = await pulled(cluster)
    assert job.state == '"a person\'s"'
    assert job.state_since == pytest.approx(cluster.clock.wall_s(), abs=5)
    for odd in ("not JSON", '"\\ud800"', "NaN"):
        await ended(cluster, job.job_id, {STATE: odd})
    assert await state_of(cluster) == "a person's"


async def test_progress_reaches_the_record(cluster: Running) -> None:
    await cluster.preview(tag="pos")
    job = await pulled(cluster)
    inner = cluster.cluster
    source = LocalSource(inner.jobs, None, inner.details)
    await source.set_progress(job.as_custody(Attempt(1)), 42)
    asked = await cluster.admin.get(f"/api/w/main/job_metrics/get_progress/{job.job_id}")
    assert asked.json() == 42
    await ended(cluster, job.job_id, {})
    await source.set_progress(job.as_custody(1), 50)


def test_names_are_found_as_both_sdks_and_curl_write_them() -> None:
    code = """
        wmill.get_variable('f/a/b'); getVariable("f/c/d"); await wmill.getResource(`f/e/f`)
        get_resource(path="$res:f/g/h"); wmill.get_variable(name); get_variable("f/a/b")
        curl "$BASE_INTERNAL_URL/api/w/$WM_WORKSPACE/variables/get_value/f/i/j"
        curl "$BASE_INTERNAL_URL/api/w/main/resources/get_value_interpolated/u/k/l"
    """
    assert named_in(code) == [
        "$var:f/a/b", "$var:f/c/d", "$res:f/e/f", "$res:f/g/h", "$var:f/i/j", "$res:u/k/l",
    ]  # fmt: skip
    assert [asks_for_state(text) for text in ("wmill.get_state()", "getState()", "status()")] == [
        True,
        True,
        False,
    ]


def test_where_a_state_is_kept() -> None:
    assert state_path("u/a/b", "u/admin", "schedule-x", is_scheduled=True) == "u/a/b/schedule-x"
    assert state_path(None, "u/admin", "admin", is_scheduled=False) == "u/admin/tmp_state"
