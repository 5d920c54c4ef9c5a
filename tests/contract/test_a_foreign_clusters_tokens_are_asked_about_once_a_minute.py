"""Enrolment at a relay: only its cluster can say whether a token holds, and that may be away (DESIGN 5)."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.agents.enrol import Enrolments
from bridge.agents.introspection import AT_ONCE, Introspection
from bridge.agents.static_users import without_login
from bridge.agents.taken import TakenTokens
from bridge.devices.service import Devices, Rules
from bridge.devices.successors import Successors
from bridge.relay.ledger import Ledger
from bridge.relay.signer import Signer
from bridge.store.connection import open_store
from bridge.tokens.seen import SeenTokens
from bridge.upstream import Upstream
from bridge.web.asgi import build
from tests.support.cluster import MovedClock, client_of
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster
from tests.support.until import until

PROBE = "get_min_version"
PATIENCE_S = 1.0


@dataclass(frozen=True, slots=True)
class Door:
    fake: FakeCluster
    clock: MovedClock
    enrolments: Enrolments

    async def come(self, token: str, suffix: str = "a") -> int:
        """The status that an agent with this token gets."""
        bearer = f"jwt_agent_{suffix}_{token.removeprefix('jwt_agent_')}"
        async with client_of(build(self.enrolments.routes()), bearer) as client:
            return (await client.post("/api/agent_workers/enroll", json={"slots": 1})).status_code

    @property
    def asked(self) -> int:
        return len(self.fake.asked(PROBE))


@pytest.fixture
async def door(tmp_path: Path) -> AsyncIterator[Door]:
    async def admit(*_about: object) -> None:
        """The broker is there."""

    async with fake_cluster() as fake:
        store, clock = await open_store(tmp_path / "relay.db"), MovedClock()
        upstream = Upstream(fake.url, clock, PATIENCE_S)
        seen, ledger = SeenTokens(store, clock), Ledger(store, clock)
        verify = Introspection(upstream, clock, TakenTokens(store, clock))
        devices = await Devices.open(store, clock, verify.verify, seen.note, Rules())
        yield Door(
            fake,
            clock,
            Enrolments(
                ledger, devices, Successors(store, clock, admit), admit, await Signer.load(ledger),
                "amqp://broker.test/", without_login,
                clock=clock, admissions_per_s=10_000,
            ),
        )  # fmt: skip
        await upstream.close()
        await store.close()


async def test_what_the_cluster_takes_is_taken_for_a_minute(door: Door) -> None:
    token = door.fake.api.token("bash")
    assert [await door.come(token) for _ in range(3)] == [200, 200, 200]
    assert door.asked == 1
    door.clock.ahead_s += 61
    assert await door.come(token) == 200
    assert door.asked == 2


async def test_what_the_cluster_refuses_is_refused_for_a_minute(door: Door) -> None:
    forged = door.fake.api.token("bash")[:-4] + "AAAA"
    assert [await door.come(forged) for _ in range(3)] == [401, 401, 401]
    assert door.asked == 1


async def test_a_token_that_ended_or_is_none_is_refused_without_asking(door: Door) -> None:
    assert await door.come(door.fake.api.token("bash", exp=int(time.time()) - 1)) == 401
    assert await door.come("x.y.z") == 401
    assert door.asked == 0


async def test_a_token_that_ends_while_it_is_remembered_is_refused(door: Door) -> None:
    token = door.fake.api.token("bash", exp=int(time.time()) + 30)
    assert await door.come(token) == 200
    door.clock.ahead_s += 31
    assert await door.come(token) == 401


async def test_a_token_that_is_revoked_is_refused_within_a_minute(door: Door) -> None:
    token = door.fake.api.token("bash")
    assert await door.come(token) == 200
    door.fake.refuse(PROBE, 401, times=99)
    door.clock.ahead_s += 61
    assert await door.come(token) == 401


@pytest.mark.parametrize("trouble", [Trouble.RESET_BEFORE, Trouble.LOST, Trouble.PORTAL, Trouble.REFUSED])
async def test_while_the_cluster_is_away_known_agents_go_on_and_new_ones_come_again(
    door: Door, trouble: Trouble
) -> None:
    known, new = door.fake.api.token("bash"), door.fake.api.token("bash", group="new")
    assert await door.come(known) == 200
    door.clock.ahead_s += 61
    door.fake.misbehave(PROBE, trouble, times=99)
    assert (await door.come(known), await door.come(new)) == (200, 503)
    door.fake.behave()
    assert (await door.come(known), await door.come(new)) == (200, 200)


async def test_a_token_that_was_refused_is_not_taken_while_the_cluster_is_away(door: Door) -> None:
    forged = door.fake.api.token("bash")[:-4] + "AAAA"
    assert await door.come(forged) == 401
    door.clock.ahead_s += 61
    door.fake.misbehave(PROBE, Trouble.RESET_BEFORE, times=99)
    assert await door.come(forged) == 503


async def test_a_fleet_that_comes_at_once_makes_no_storm_at_the_cluster(door: Door) -> None:
    token = door.fake.api.token("bash")
    door.fake.misbehave(PROBE, Trouble.LATE, times=99)
    async with asyncio.TaskGroup() as group:
        agents = [group.create_task(door.come(token, f"a{number}")) for number in range(AT_ONCE * 3)]
        await until(lambda: door.asked == AT_ONCE)
        door.fake.let_go.set()
    assert [agent.result() for agent in agents] == [200] * len(agents)
