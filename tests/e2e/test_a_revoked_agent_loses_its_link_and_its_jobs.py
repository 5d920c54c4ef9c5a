"""A token that is taken away ends what rests on it, at once; what its agent brings later is not believed."""

import time
from pathlib import Path
from typing import Any, Final

import pytest

from agent.wire.claims import Attempt, JobId
from agent.wire.envelope import pack
from agent.wire.messages import Result
from agent.wire.routing import UP
from dev_tools.brokers.broker import Broker
from tests.support.mail import put, signed_by
from tests.support.places import Management, login_of
from tests.support.until import until
from tests.support.world import Agent, World

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]

ENDED_S: Final = 20.0  # 5 s are promised, and measured by ./dev bench trust; here the machine may be busy
TOKENS: Final = "/api/agent_workers"
ELSEWHERE: Final = '[ "$ORVANTA_ATTEMPT" = 2 ] || sleep 600; echo here'


def _result(world: World, job: str, document: bytes, attempt: int = 1) -> Result:
    now_s = time.time()
    return Result(
        job_id=JobId(job), attempt=Attempt(attempt), workspace="main", success=True, document=document,
        started_at=now_s, finished_at=now_s, duration_ms=1,
    )  # fmt: skip


async def _brings(world: World, agent: Agent, job: str, document: bytes) -> None:
    """What the agent had handed to the broker before its connection was closed."""
    login = login_of(agent)
    worker = login.partition("@")[0]
    body = pack([_result(world, job, document)])
    await put(world, UP, f"result.{worker}", body, user_id=login, headers=signed_by(agent, body))


async def _kept(world: World, job: str, within_s: float = 10.0) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        rows = world.cluster.read("/api/quarantine")["results"]
        return next((row for row in rows if row["job_id"] == job), None)

    row = await until(look, within_s=within_s)
    assert row is not None
    return row


def _place(row: dict[str, Any]) -> str:
    return f"/api/quarantine/{row['job_id']}/{row['attempt']}/{row['worker']}"


async def test_a_revoked_token_ends_what_rests_on_it(world: World, broker: Broker, tmp_path: Path) -> None:
    cluster = world.cluster
    gate = tmp_path / "gate"
    stolen = world.site("shared", "alone", slots=4)
    await stolen.start()
    again, once, nowhere, ends_late = (
        cluster.submit(ELSEWHERE, "shared"),
        cluster.submit("sleep 600", "shared", delivery="at_most_once"),
        cluster.submit("sleep 600", "alone"),
        cluster.submit(f"while [ ! -e {gate} ]; do sleep 0.05; done; echo ended", "alone"),
    )
    for job in (again, once, nowhere, ends_late):
        await cluster.running(job)
    await world.agent("shared")
    management = Management(broker, world.amqp_url)
    token = stolen.settings["AGENT_TOKEN"]
    assert management.connections(stolen) == 2
    cluster.post(f"{TOKENS}/blacklist_token", {"token": token})

    assert cluster.is_refused(token)
    await until(lambda: management.connections(stolen) == 0, within_s=ENDED_S)
    await until(lambda: stolen.events("token.refused"), within_s=ENDED_S)
    record = await cluster.done(once, within_s=ENDED_S)
    assert record["result"]["error"]["name"] == "CustodianLost"
    assert "its token was revoked" in record["result"]["error"]["message"]
    await until(lambda: len(cluster.attempts(nowhere)) == 2, within_s=ENDED_S)
    assert (await cluster.done(again))["result"] == "here"

    for job in (once, nowhere):
        await _brings(world, stolen, job, b'"late"')
    late_once, late_nowhere = await _kept(world, once), await _kept(world, nowhere)
    assert (late_once["may_accept"], late_nowhere["may_accept"]) == (0, 1)
    assert not cluster.job(nowhere).get("success")
    assert cluster.read(_place(late_nowhere)) == "late"
    with pytest.raises(AssertionError, match="has ended and keeps its recorded result"):
        cluster.post(f"{_place(late_once)}/accept", {})
    cluster.post(f"{_place(late_once)}/reject", {})
    cluster.post(f"{_place(late_nowhere)}/accept", {})
    accepted = await cluster.done(nowhere)
    assert (accepted["success"], accepted["result"]) == (True, "late")
    assert cluster.job(once)["result"]["error"]["name"] == "CustodianLost"  # I1
    gate.touch()  # no link is left to it, and it offers what has ended over HTTP
    offered = await _kept(world, ends_late, within_s=60.0)
    assert (offered["link"], late_nowhere["link"], offered["may_accept"]) == ("http", "amqp", 1)
    cluster.post(f"{_place(offered)}/accept", {})
    assert (await cluster.done(ends_late))["result"] == "ended"
    assert stolen.status()["link"] == "down"
    decisions = {row["job_id"]: row["decision"] for row in cluster.read("/api/quarantine")["results"]}
    assert decisions == {once: "rejected", nowhere: "accepted", ends_late: "accepted"}
