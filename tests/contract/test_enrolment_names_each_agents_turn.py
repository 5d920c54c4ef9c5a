"""`POST /api/agent_workers/enroll` when a fleet comes back: who is let in, and what the rest are told."""

from dataclasses import dataclass

import httpx
import pytest

from agent.errors import AdmissionWaits, LinkDown
from agent.link.enrol import enrol
from agent.logs import Secret
from agent.wire.claims import Tag, WorkerName
from bridge.agents.enrol import Enrolments
from bridge.agents.static_users import without_login
from bridge.errors import BrokerDown
from bridge.relay.ledger import Ledger
from bridge.web.asgi import build
from tests.support.cluster import Running, client_of, served

ENROL = "/api/agent_workers/enroll"
ABOUT = {"version": "1", "slots": 2}


class HandClock:
    wall = 1_000_000.0
    monotonic = 50.0

    def wall_s(self) -> float:
        return self.wall

    def monotonic_s(self) -> float:
        return self.monotonic


@dataclass(slots=True)
class Door:
    """The endpoint at two admissions a second, on a clock that stands still, with its broker up or down."""

    cluster: Running
    clock: HandClock
    enrolments: Enrolments
    admitted: list[str]
    token: str
    broker_is_up: bool = True

    async def come(self, suffix: str, body: object = ABOUT) -> httpx.Response:
        async with client_of(build(self.enrolments.routes()), f"jwt_agent_{suffix}_{self.token}") as client:
            return await client.post(ENROL, json=body)

    async def codes(self, *suffixes: str) -> list[int]:
        return [(await self.come(suffix)).status_code for suffix in suffixes]


@pytest.fixture
async def door(cluster: Running) -> Door:
    async def admit(worker: WorkerName, tags: frozenset[Tag]) -> None:
        if not made.broker_is_up:
            raise BrokerDown("RabbitMQ is away")
        made.admitted.append(worker)

    clock = HandClock()
    enrolments = Enrolments(
        Ledger(cluster.store, clock),
        cluster.cluster.devices,
        cluster.cluster.successors,
        admit,
        cluster.signer,
        "amqp://broker.test/",
        without_login,
        clock=clock,
        admissions_per_s=2,
    )
    body = {"worker_group": "pos", "tags": ["bash"], "exp": 2_000_000_000, "shared": True}
    minted = (await cluster.admin.post("/api/agent_workers/create_agent_token", json=body)).json()
    made = Door(cluster, clock, enrolments, [], minted.removeprefix("jwt_agent_"))
    return made


async def test_who_is_over_the_rate_is_told_when_to_come(door: Door) -> None:
    assert (await door.come("a")).json()["worker"] == "ag-pos-a"
    answers = [await door.come("b"), await door.come("c"), await door.come("d")]
    assert [answer.status_code for answer in answers] == [429] * 3
    assert [answer.headers["retry-after"] for answer in answers] == ["1", "1", "2"]
    assert [answer.headers["orvanta-admitted-in-s"] for answer in answers] == ["0.500", "1.000", "1.500"]
    assert [answer.headers["content-type"] for answer in answers] == ["text/plain; charset=utf-8"] * 3
    assert answers[2].text == "many agents come back at once; this one is number 3, admitted in 1.500 s"
    assert door.admitted == ["ag-pos-a"]


async def test_at_its_moment_it_is_admitted_and_early_nothing_changes(door: Door) -> None:
    assert await door.codes("a", "b", "c") == [200, 429, 429]
    door.clock.monotonic += 0.4
    early = await door.come("c")
    assert (early.status_code, early.headers["orvanta-admitted-in-s"]) == (429, "0.600")
    door.clock.monotonic += 0.1
    assert await door.codes("c", "b") == [429, 200]
    door.clock.monotonic += 0.5
    assert await door.codes("c") == [200]
    assert door.admitted == ["ag-pos-a", "ag-pos-b", "ag-pos-c"]


async def test_what_is_refused_anyway_takes_nobodys_place(door: Door) -> None:
    assert (await door.come("a", body=[])).status_code == 400
    async with client_of(build(door.enrolments.routes()), "jwt_agent_a_x.y.z") as stranger:
        assert (await stranger.post(ENROL, json=ABOUT)).status_code == 401
    assert await door.codes("b") == [200]


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b'{"version": "\\ud800", "slots": "x"}',
        b'{"slots": 1e400}',
        b'{"slots": 100000000000000000000}',
        b'{"wall_s": 1e20}',
        b'{"wall_s": "now"}',
        b"\xff",
    ],
)
async def test_a_body_that_says_nothing_that_can_be_kept_is_refused(door: Door, body: bytes) -> None:
    async with client_of(build(door.enrolments.routes()), f"jwt_agent_a_{door.token}") as client:
        assert (await client.post(ENROL, content=body)).status_code == 400


async def test_while_the_broker_is_away_the_pace_is_kept_too(door: Door) -> None:
    door.broker_is_up = False
    assert await door.codes("a", "b", "c") == [503, 429, 429]


async def test_a_jump_of_the_wall_clock_moves_nobodys_turn(door: Door) -> None:
    assert await door.codes("a", "b") == [200, 429]
    door.clock.wall += 10 * 365 * 86_400
    assert (await door.come("b")).headers["orvanta-admitted-in-s"] == "0.500"


async def test_the_agent_reads_its_turn_from_the_answer(door: Door) -> None:
    token = Secret(f"jwt_agent_{door.token}")
    async with served(build(door.enrolments.routes())) as url:
        assert (await enrol(url, token, "a", ABOUT)).worker == "ag-pos-a"
        with pytest.raises(AdmissionWaits, match="this one is number 1") as waits:
            await enrol(url, token, "b", ABOUT)
    assert waits.value.wait_s == 0.5
    assert isinstance(waits.value, LinkDown)
