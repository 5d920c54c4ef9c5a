"""A relay asks every few seconds about tokens of linked agents, and writes the answers down (DESIGN 5)."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.wire.claims import Tag, TokenId
from agent.wire.routing import job_queue
from agent.wire.tokens import bearer_of, broker_login, token_id
from bridge.agents import introspection
from bridge.agents.broker_auth import BrokerAuth
from bridge.agents.introspection import IN_USE_S, LOOK_MAX, Introspection, gap_after, unverified
from bridge.agents.revocations import LOOK_EVERY_S, Revocations
from bridge.agents.taken import LATE_S, NOTED_EVERY_S, TakenTokens
from bridge.devices.service import Devices, Rules
from bridge.errors import ClusterDown
from bridge.relay.ledger import Ledger
from bridge.store.connection import OnServer, open_store
from bridge.store.store import Store
from bridge.tokens.seen import SeenTokens
from bridge.upstream import Upstream
from bridge.web.asgi import build
from tests.support.cluster import MovedClock, client_of
from tests.support.fake_cluster.server import FakeCluster, Trouble, fake_cluster
from tests.support.until import until

PROBE = "get_min_version"
DAY_S = 86_400
LIVES_S = 30 * DAY_S
pytestmark = pytest.mark.on_both_stores


@dataclass
class Relay:
    """What a relay knows of tokens; one that is started anew on its store knows what it wrote down."""

    fake: FakeCluster
    store: Store
    clock: MovedClock
    upstream: Upstream
    introspection: Introspection = field(init=False)

    def __post_init__(self) -> None:
        self.restart()

    def restart(self) -> None:
        self.introspection = self.another()

    def another(self) -> Introspection:
        """Another bridge on the same store."""
        return Introspection(self.upstream, self.clock, TakenTokens(self.store, self.clock))

    def bearer(self, suffix: str = "a", group: str = "pos") -> str:
        token = self.fake.api.token("bash", group=group, exp=int(self.clock.wall_s()) + LIVES_S)
        return bearer_of(token, suffix)

    async def links(self, bearer: str) -> None:
        """An agent with this token is taken, and was heard of just now."""
        claims = await self.introspection.verify(bearer)
        assert claims is not None
        await Ledger(self.store, self.clock).enrol(claims, "0", 1, token_id=claims.token_id)

    async def look(self, after_s: float = IN_USE_S, most: int = LOOK_MAX) -> bool:
        self.clock.ahead_s += after_s
        return await self.introspection.look(most)

    async def refused(self) -> frozenset[TokenId]:
        self.clock.ahead_s += 1
        return await self.introspection.refused()

    @property
    def asked(self) -> int:
        return len(self.fake.asked(PROBE))


@pytest.fixture
async def relay(store_place: Path | OnServer) -> AsyncIterator[Relay]:
    async with fake_cluster() as fake:
        place = store_place / "relay.db" if isinstance(store_place, Path) else store_place
        store, clock = await open_store(place), MovedClock()
        upstream = Upstream(fake.url, clock, request_s=1.0)
        yield Relay(fake, store, clock, upstream)
        await upstream.close()
        await store.close()


async def test_that_of_a_linked_agent(relay: Relay) -> None:
    bearer = relay.bearer()
    await relay.links(bearer)
    assert await relay.look()
    assert (relay.asked, await relay.refused()) == (2, frozenset())
    relay.fake.refuse(PROBE, 401, times=99)
    await relay.look()
    assert await relay.refused() == {token_id(bearer)}
    assert await relay.introspection.is_refused(token_id(bearer))
    assert await relay.introspection.verify(bearer) is None
    assert IN_USE_S + introspection.LOOK_EVERY_S + LOOK_EVERY_S < 5, (
        "what is promised, with time to carry it out"
    )


async def test_it_ends_as_any_other(relay: Relay) -> None:
    """The end of a token that the cluster takes back closes the connection of its agent."""
    bearer, ended = relay.bearer(), asyncio.Event()
    await relay.links(bearer)
    claims = unverified(bearer)
    assert claims is not None
    seen = SeenTokens(relay.store, relay.clock)
    await seen.note(claims)

    async def end_connections(login: str, _why: str) -> None:
        assert login == broker_login(claims.worker, claims.token_id)
        ended.set()

    revocations = Revocations(seen, relay.introspection.refused, end_connections, relay.clock)
    tasks = [asyncio.ensure_future(one) for one in (revocations.run([]), relay.introspection.run())]
    relay.fake.refuse(PROBE, 401, times=99)
    relay.clock.ahead_s += IN_USE_S
    await until(ended.is_set, within_s=20)
    for task in tasks:
        task.cancel()


async def test_that_of_a_fleet_is_asked_about_once(relay: Relay) -> None:
    token = relay.fake.api.token("bash", exp=int(relay.clock.wall_s()) + LIVES_S)
    bearers = [bearer_of(token, f"a{number}") for number in range(5)]
    for bearer in bearers:
        await relay.links(bearer)
    await relay.look()
    assert relay.asked == len(bearers) + 1
    relay.fake.refuse(PROBE, 401, times=99)
    await relay.look()
    assert relay.asked == len(bearers) + 2
    assert [await relay.introspection.verify(bearer) for bearer in bearers] == [None] * len(bearers)


async def test_that_of_nobody_who_is_linked_is_asked_about_once_a_minute(relay: Relay) -> None:
    await relay.introspection.verify(relay.bearer())
    await relay.look()
    assert relay.asked == 1
    await relay.look(60)
    assert relay.asked == 2


async def test_so_many_at_a_time_and_the_longest_ago_first(relay: Relay) -> None:
    bearers = [relay.bearer(group=f"g{number}") for number in range(3)]
    for bearer in bearers:
        await relay.links(bearer)
    await relay.look(most=2)
    assert relay.asked == 3 + 2
    relay.fake.refuse(PROBE, 401)
    await relay.look(after_s=0)
    assert relay.asked == 3 + 3
    assert await relay.refused() == {token_id(bearers[2])}


async def test_a_cluster_that_is_away_ends_nothing_and_is_asked_ever_more_rarely(relay: Relay) -> None:
    await relay.links(relay.bearer())
    relay.fake.misbehave(PROBE, Trouble.RESET_BEFORE, times=99)
    assert not await relay.look()
    assert await relay.refused() == frozenset()
    gaps = [introspection.LOOK_EVERY_S]
    while len(gaps) < 9:
        gaps.append(gap_after(gaps[-1], is_there=False))
    assert gaps == [0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 30.0, 30.0]
    assert gap_after(30.0, is_there=True) == introspection.LOOK_EVERY_S


async def test_a_forged_one_ends_nothing(relay: Relay) -> None:
    """It has the id of the token that it imitates."""
    bearer = relay.bearer()
    await relay.links(bearer)
    forged = bearer[:-4] + ("AAAA" if bearer[-4:] != "AAAA" else "BBBB")
    assert token_id(forged) == token_id(bearer)
    assert await relay.introspection.verify(forged) is None
    assert await relay.refused() == frozenset()
    assert await relay.introspection.verify(bearer) is not None


async def test_one_that_is_taken_again_holds_again(relay: Relay) -> None:
    bearer = relay.bearer()
    await relay.links(bearer)
    relay.fake.refuse(PROBE, 401)
    await relay.look()
    assert await relay.refused() == {token_id(bearer)}
    relay.clock.ahead_s += 61
    assert await relay.introspection.verify(bearer) is not None
    assert await relay.refused() == frozenset()


async def test_every_bridge_of_the_store_learns_of_it(relay: Relay) -> None:
    bearer = relay.bearer()
    await relay.links(bearer)
    other = relay.another()
    relay.fake.refuse(PROBE, 401)
    await relay.look()
    assert await other.refused() == {token_id(bearer)}


async def test_a_relay_that_was_restarted_gets_to_know_who_is_linked(relay: Relay) -> None:
    bearer, ledger = relay.bearer(), Ledger(relay.store, relay.clock)
    await relay.links(bearer)
    relay.restart()
    claims = unverified(bearer)
    assert claims is not None
    taken = TakenTokens(relay.store, relay.clock)

    async def asked_to_enrol() -> list[str]:
        await ledger.heard(claims.worker)
        await taken.renew_unasked()
        return (await ledger.renewals(10))[1]

    assert await asked_to_enrol() == []
    relay.clock.ahead_s += LATE_S + 1
    assert await asked_to_enrol() == [claims.worker]
    await relay.links(bearer)
    assert await asked_to_enrol() == []


async def test_an_agent_that_was_good_until_the_outage_logs_in_days_later_at_a_relay_that_was_restarted(
    relay: Relay,
) -> None:
    bearer = relay.bearer()
    await relay.links(bearer)
    for _ in range(3):  # it stays linked for hours, and what is written down is renewed
        await relay.look(NOTED_EVERY_S)
    relay.fake.misbehave(PROBE, Trouble.RESET_BEFORE, times=999)
    relay.clock.ahead_s += 3 * DAY_S
    relay.restart()
    assert await login(relay, bearer) == "allow"
    assert await reads(relay, bearer) == "allow", (
        "RabbitMQ has forgotten by now what it was told of its rights"
    )
    assert await login(relay, relay.bearer(group="new")) == "deny"
    relay.fake.behave()
    relay.fake.refuse(PROBE, 401, times=99)
    relay.clock.ahead_s += 61
    assert await login(relay, bearer) == "deny", "the cluster is back, and decides"


async def test_one_that_was_not_asked_about_until_the_outage_waits_for_its_end(relay: Relay) -> None:
    before, until_then = relay.bearer(), relay.bearer(group="other")
    await relay.links(before)
    relay.restart()  # and its agent does not come back
    relay.clock.ahead_s += LATE_S + 60
    await relay.links(until_then)
    relay.restart()
    relay.fake.misbehave(PROBE, Trouble.RESET_BEFORE, times=99)
    assert await relay.introspection.verify(until_then) is not None
    with pytest.raises(ClusterDown):
        await relay.introspection.verify(before)


async def login(relay: Relay, bearer: str) -> str:
    """What RabbitMQ is told."""
    return await told(relay, bearer, "user", password=bearer)


async def reads(relay: Relay, bearer: str) -> str:
    """The same, when the agent goes on consuming."""
    asked = {"resource": "queue", "name": job_queue(Tag("bash")), "permission": "read"}
    return await told(relay, bearer, "resource", vhost="/", **asked)


async def told(relay: Relay, bearer: str, what: str, **form: str) -> str:
    seen = SeenTokens(relay.store, relay.clock)
    devices = await Devices.open(relay.store, relay.clock, relay.introspection.verify, seen.note, Rules())
    auth = BrokerAuth(devices.verify, seen, "/")
    claims = unverified(bearer)
    assert claims is not None
    form["username"] = broker_login(claims.worker, claims.token_id)
    async with client_of(build(auth.routes()), None) as client:
        return (await client.post(f"/api/broker_auth/{what}", data=form)).text
