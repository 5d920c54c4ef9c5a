"""When a site was away: written down once it was silent, ended when it is heard, forgotten in time (I6)."""

import pytest

from bridge.fleet.keeping import KEPT_S, Keeping
from bridge.fleet.model import Outage
from bridge.fleet.service import Fleet, Fleets
from bridge.store.statements import Statement
from tests.support.cluster import Running
from tests.support.fleet import Site, site

pytestmark = pytest.mark.on_both_stores

HOUR_S = 3600.0
INSERT = """INSERT INTO ledger (job_id, attempt, workspace, tag, state, custodian, taken_at, closed_at,
                    finished_at, clock_offset_ms, finished_while_down)"""
CLOSED = Statement(
    f"{INSERT} VALUES (:job_id, 1, 'main', 't', 'closed', :worker, 0, :at, :at, 0, 1)",
    f"{INSERT} VALUES (%(job_id)s, 1, 'main', 't', 'closed', %(worker)s, 0, %(at)s, %(at)s, 0, 1)",
)


async def fleet(cluster: Running, suva: Site) -> Fleet:
    return await Fleets(
        cluster.store, cluster.cluster.bulletin, cluster.clock, suva.ledger.presence.record
    ).now()


async def looked(cluster: Running, suva: Site, after_s: float, *, may_begin: bool = True) -> list[Outage]:
    """What is known of it after a look so much later."""
    cluster.clock.ahead_s += after_s
    await Keeping(cluster.store, cluster.clock, suva.ledger.presence).look(may_begin=may_begin)
    return list((await fleet(cluster, suva)).history.outages.get(suva.worker, ()))


async def test_an_outage_has_a_begin_and_an_end(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    await suva.ping()
    assert await looked(cluster, suva, 20) == []  # its ping may be late
    (open_one,) = await looked(cluster, suva, HOUR_S)
    assert open_one.up_at is None
    assert len(await looked(cluster, suva, HOUR_S)) == 1
    await suva.ping()
    (ended,) = await looked(cluster, suva, 1)
    assert ended.down_at == open_one.down_at
    assert ended.up_at is not None
    assert ended.up_at - ended.down_at == pytest.approx(2 * HOUR_S + 20, abs=5)
    assert not ended.on_purpose
    assert (await fleet(cluster, suva)).of(suva.worker).since == ended.up_at
    assert await looked(cluster, suva, KEPT_S + HOUR_S, may_begin=False) == []


async def test_a_bridge_that_has_just_started_calls_nobody_silent(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    assert await looked(cluster, suva, HOUR_S, may_begin=False) == []
    await suva.ping()
    assert await looked(cluster, suva, 1) == []


async def test_who_leaves_on_purpose_is_away_on_purpose(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    await suva.ledger.heard(suva.worker, held=0, left=True)
    (outage,) = await looked(cluster, suva, 1)
    assert outage.on_purpose
    await suva.ping()
    (outage,) = await looked(cluster, suva, 1)
    assert outage.up_at is not None


async def test_work_done_meanwhile_stands_where_it_was_done(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    now_s = cluster.clock.wall_s()
    rows = [
        {"job_id": f"j{number}", "worker": suva.worker, "at": now_s - HOUR_S * hours}
        for number, hours in enumerate((1, 1, 5, 30))
    ]
    await cluster.store.write(lambda db: db.executemany(CLOSED, rows))
    history = (await fleet(cluster, suva)).history
    assert sorted(history.done_while_down[suva.worker].values()) == [1, 2]  # the last is of yesterday


async def test_a_worker_counts_once_in_a_month(cluster: Running) -> None:
    suva, nadi = await site(cluster, "suva"), await site(cluster, "nadi")
    keeping = Keeping(cluster.store, cluster.clock, suva.ledger.presence)
    for _ in range(3):
        await suva.ping()
        await nadi.ping()
        await keeping.count_months()
        cluster.clock.ahead_s += HOUR_S
    assert [workers for _, workers in (await fleet(cluster, suva)).months] in ([2], [2, 2])


async def test_the_plot_counts_who_was_up(cluster: Running) -> None:
    suva, nadi = await site(cluster, "suva"), await site(cluster, "nadi")
    await suva.ping(next_s=1e6)
    await nadi.ping()
    await looked(cluster, suva, 4 * HOUR_S)
    day = (await cluster.admin.get("/workers/history")).json()
    assert len(day["at"]) == len(day["up"]) == len(day["done"]) == 96
    assert (day["up"][0], day["up"][-1]) == (0, 1)  # nobody was known yet; of two one is left
