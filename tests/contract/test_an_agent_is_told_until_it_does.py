"""Drains and looks reach agents over their control queues, again while nothing confirms, and not for ever."""

import pytest

from agent.wire.messages import Intake, Ping, Settings
from bridge.errors import BrokerDown
from bridge.fleet.service import Fleets
from bridge.fleet.wishes import AGAIN_S, LOOKED_AT_S, TOLD_AGAIN_S, Wishes
from tests.support.carrier import Carrier
from tests.support.cluster import Running
from tests.support.fleet import site

pytestmark = pytest.mark.on_both_stores


def intakes(carrier: Carrier) -> list[Intake]:
    return [one.intake for one in carrier.told if isinstance(one, Settings)]


async def test_a_drain_is_told_until_the_agent_says_so(cluster: Running) -> None:
    suva, carrier = await site(cluster, "suva"), Carrier()
    fleets = Fleets(cluster.store, cluster.cluster.bulletin, cluster.clock, suva.ledger.presence.record)
    wishes = Wishes(cluster.store, cluster.clock, cluster.signer, lambda: carrier)
    await suva.ping()
    await wishes.tell_drains()
    assert carrier.told == []
    await fleets.drain(suva.worker, "admin")
    for _ in range(3):
        await wishes.tell_drains()
    assert intakes(carrier) == [Intake.CLOSED]
    cluster.clock.ahead_s += TOLD_AGAIN_S
    await suva.ping()
    await wishes.tell_drains()
    assert intakes(carrier) == [Intake.CLOSED] * 2
    await suva.ping(drained=True)
    cluster.clock.ahead_s += TOLD_AGAIN_S
    await wishes.tell_drains()
    assert len(intakes(carrier)) == 2
    await suva.ping(drained=True)
    await fleets.drain(suva.worker, None)
    await wishes.tell_drains()
    assert intakes(carrier)[2:] == [Intake.OPEN]


async def test_who_is_looked_at_is_asked_to_speak_more_often_while_it_is(cluster: Running) -> None:
    suva, carrier = await site(cluster, "suva"), Carrier()
    await suva.ping()
    fleets = Fleets(cluster.store, cluster.cluster.bulletin, cluster.clock, suva.ledger.presence.record)
    wishes = Wishes(cluster.store, cluster.clock, cluster.signer, lambda: carrier)
    for _ in range(5):
        await wishes.look_at((await fleets.now()).agents)
    assert [one.ping_every_s for one in carrier.told] == [LOOKED_AT_S]
    cluster.clock.ahead_s += AGAIN_S
    await suva.ping()
    await wishes.look_at((await fleets.now()).agents)
    assert len(carrier.told) == 2
    cluster.clock.ahead_s += AGAIN_S  # it is silent: nothing piles up in its queue
    await wishes.look_at((await fleets.now()).agents)
    assert len(carrier.told) == 2


async def test_a_broker_that_is_away_costs_no_page(cluster: Running) -> None:
    suva, carrier = await site(cluster, "suva"), Carrier()
    await suva.ping()
    fleets = Fleets(cluster.store, cluster.cluster.bulletin, cluster.clock, suva.ledger.presence.record)
    for broker_now in (None, lambda: None):
        wishes = Wishes(cluster.store, cluster.clock, cluster.signer, broker_now)
        await wishes.look_at((await fleets.now()).agents)
        await wishes.tell_drains()
        assert wishes.is_deaf is (broker_now is not None)
    carrier.is_down = True
    wishes = Wishes(cluster.store, cluster.clock, cluster.signer, lambda: carrier)
    await wishes.look_at((await fleets.now()).agents)
    await fleets.drain(suva.worker, "admin")
    with pytest.raises(BrokerDown):
        await wishes.tell_drains()


async def test_presence_knows_when_somebody_looks(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    presence = suva.ledger.presence
    for next_s, is_looked_at in ((10.0, False), (None, False), (1.5, True)):
        presence.note(suva.worker, Ping(held=0, running=0, backlog=0, wall_s=0.0, next_s=next_s))
        assert presence.is_looked_at is is_looked_at
        await presence.record()
    assert not presence.is_looked_at
