"""`delivery`, `lost_after`, `replace`: asked for by run or script, the strictest wins (DESIGN section 3)."""

import pytest

from agent.wire.claims import Tag
from agent.wire.messages import Delivery
from bridge.relay.policy import Policies, Replace, TagPolicy
from tests.support.cluster import Running

RULES = ("delivery", "lost_after", "replace")
PATH = "f/shop/rollup"


async def deployed(cluster: Running, **rules: object) -> str:
    """The hash of a script that asks for these rules."""
    body = {"path": PATH, "content": "true", "language": "bash", "tag": "pos", **rules}
    created = await cluster.admin.post("/api/w/main/scripts/create", json=body)
    assert created.status_code == 201, created.text
    return created.text


async def handed_out(cluster: Running, **query: str | int) -> dict[str, object]:
    """The rules of a run of the script, as an agent is told them over HTTP."""
    run = await cluster.admin.post(f"/api/w/main/jobs/run/p/{PATH}", json={}, params=query)
    assert run.status_code == 201, run.text
    job = (await (await cluster.agent("pos")).post("/api/agent_workers/pull_job", json=None)).json()["job"]
    assert job["id"] == run.text
    shown = await cluster.job(run.text)
    rules = {name: job[name] for name in RULES}
    assert {name: shown[name] for name in RULES} == rules
    return rules


@pytest.mark.parametrize(
    ("script", "run", "wanted"),
    [
        ({}, {}, ("at_least_once", None, None)),
        ({"delivery": "at_most_once"}, {}, ("at_most_once", None, None)),
        ({"delivery": "at_most_once"}, {"delivery": "at_least_once"}, ("at_most_once", None, None)),
        ({"delivery": "at_least_once"}, {"delivery": "at_most_once"}, ("at_most_once", None, None)),
        ({"lost_after": 600}, {}, ("at_least_once", 600, None)),
        ({"lost_after": 600}, {"lost_after": 15}, ("at_least_once", 15, None)),
        ({"replace": "never"}, {"replace": "when_lost"}, ("at_least_once", None, "never")),
        ({"replace": "when_lost"}, {"replace": "never"}, ("at_least_once", None, "never")),
        ({"replace": "when_lost"}, {}, ("at_least_once", None, "when_lost")),
    ],
)
async def test_of_script_and_run(
    cluster: Running, script: dict[str, object], run: dict[str, str | int], wanted: tuple[object, ...]
) -> None:
    await deployed(cluster, **script)
    assert tuple((await handed_out(cluster, **run)).values()) == wanted


async def test_a_script_shows_its_rules_and_new_rules_make_a_new_version(cluster: Running) -> None:
    plain = await deployed(cluster)
    strict = await deployed(cluster, delivery="at_most_once", lost_after=900, replace="never")
    assert plain != strict
    shown = (await cluster.admin.get(f"/api/w/main/scripts/get/h/{strict}")).json()
    assert [shown[name] for name in RULES] == ["at_most_once", 900, "never"]
    assert await deployed(cluster, delivery="at_most_once", lost_after=900, replace="never") == strict


@pytest.mark.parametrize(
    ("rules", "told"),
    [
        ({"lost_after": 14}, ">= 15"),
        ({"lost_after": 10**12}, "<="),
        ({"lost_after": "soon"}, "lost_after"),
        ({"replace": "always"}, "replace"),
        ({"delivery": "exactly_once"}, "delivery"),
    ],
)
async def test_a_wrong_rule_is_refused(cluster: Running, rules: dict[str, object], told: str) -> None:
    code = {"content": "true", "language": "bash"}
    run = await cluster.admin.post("/api/w/main/jobs/run/preview", json=code, params=rules)
    script = await cluster.admin.post("/api/w/main/scripts/create", json={"path": PATH, **code, **rules})
    for answer in (run, script):
        assert answer.status_code == 400
        assert told in answer.text
        assert next(iter(rules)) in answer.text
    assert (await cluster.admin.get("/api/w/main/jobs/list")).json() == []


def test_of_job_and_tag() -> None:
    strict = TagPolicy(Delivery.AT_MOST_ONCE, 60, Replace.NEVER)
    policies = Policies(100, {"pos-*": strict, "till-*": TagPolicy(lost_after_s=60)})
    pos, till, bash = Tag("pos-a"), Tag("till-a"), Tag("bash")
    assert [policies.lost_after(tag) for tag in (pos, till, bash)] == [60, 60, 100]
    assert [policies.lost_after(tag, 900) for tag in (pos, till, bash)] == [900] * 3
    assert [policies.delivery(tag, Delivery.AT_MOST_ONCE) for tag in (pos, bash)] == ["at_most_once"] * 2
    assert policies.delivery(pos, Delivery.AT_LEAST_ONCE) is Delivery.AT_MOST_ONCE
    once = Delivery.AT_LEAST_ONCE
    assert policies.may_replace(bash, once, None)
    assert policies.may_replace(bash, once, Replace.WHEN_LOST)
    assert not policies.may_replace(bash, once, Replace.NEVER)
    assert not policies.may_replace(pos, once, Replace.WHEN_LOST)
    assert not policies.may_replace(bash, Delivery.AT_MOST_ONCE, Replace.WHEN_LOST)  # I2
