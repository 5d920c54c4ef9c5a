"""/workers: state, what is held, what waits, by group; found, sorted, paged; light for a thousand sites."""

import re
import time

import pytest

from agent.wire.claims import Tag, WorkerName
from bridge.agents.model import NormalWorker, Ping
from bridge.store.statements import Statement
from tests.contract.test_a_page_fits_a_slow_line import FIRST_LOAD_BYTES, sent_bytes
from tests.support.cluster import Running
from tests.support.fleet import Site, site

ROW = re.compile(r'<tr id="row-([^"]+)".*?</tr>', re.DOTALL)
MANY = 1000
THOUSAND = Statement(
    """INSERT INTO enrolled_agent (worker, worker_group, tags, slots, enrolled_at, last_heard, next_s)
       VALUES (:worker, 'shops', '["bash"]', 1, :now, :now, 1e6)""",
    """INSERT INTO enrolled_agent (worker, worker_group, tags, slots, enrolled_at, last_heard, next_s)
       VALUES (%(worker)s, 'shops', '["bash"]', 1, %(now)s, %(now)s, 1e6)""",
)
SOON_S = 1.0  # the page is read for all viewers at once, so often


async def rows_of(cluster: Running, query: str = "") -> dict[str, str]:
    """The text of each row, in the page's order, without its marks."""
    cluster.clock.ahead_s += SOON_S
    page = await cluster.admin.get(f"/workers{query}")
    assert page.status_code == 200, page.text
    return {
        found[1]: " ".join(re.sub(r"<[^>]+>", " ", found[0]).split()) for found in ROW.finditer(page.text)
    }


@pytest.mark.on_both_stores
async def test_a_row_says_what_its_site_holds(cluster: Running) -> None:
    suva = await site(cluster, "suva", "pos-suva", "bash")
    await suva.ping(
        held=41, running=2, backlog=7, backlog_age_s=7200.0, clock_offset_ms=4000,
        spool_bytes=512 * 2**20, spool_most_bytes=2**30, next_s=1e6,
    )  # fmt: skip
    (row,) = (await rows_of(cluster)).values()
    for said in (
        "suva",
        "pos-suva",
        "up",
        "2 / 2",
        "41",
        "7 oldest",
        "512 MiB of 1.0 GiB",
        "50 %",
        "4.0 s ahead",
    ):
        assert said in row


@pytest.mark.parametrize(("next_s", "late_s", "silent_s"), [(10.0, 11.0, 17.0), (1.5, 0.0, 4.0)])
async def test_who_is_silent_for_longer_than_it_said_is_down(
    cluster: Running, next_s: float, late_s: float, silent_s: float
) -> None:
    suva = await site(cluster, "suva")
    await suva.ping(next_s=next_s)
    cluster.clock.ahead_s += late_s
    assert "● up" in (await rows_of(cluster))[suva.worker]
    cluster.clock.ahead_s += silent_s - late_s
    assert "▲ down" in (await rows_of(cluster))[suva.worker]
    await suva.ping(next_s=next_s)
    assert "● up" in (await rows_of(cluster))[suva.worker]


@pytest.mark.on_both_stores
async def test_who_said_good_bye_is_stopped_and_who_only_pings_stands_there_too(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    await suva.ledger.heard(suva.worker, held=0, left=True)
    direct = await cluster.agent("pos-nadi", group="shops", suffix="nadi-a1b2c")
    ping = {"ping_type": "Initial", "worker_instance": "nadi", "ip": "1.2.3.4", "version": "v1.600.0"}
    await direct.post("/api/agent_workers/update_ping", json=ping)
    await cluster.cluster.workers.tags_served()  # writes down who was heard
    rows = await rows_of(cluster)
    assert "■ stopped" in rows[suva.worker]
    assert "● up" in rows["ag-shops-nadi-a1b2c"]
    assert "HTTP" in rows["ag-shops-nadi-a1b2c"]


@pytest.mark.on_both_stores
async def test_what_an_agent_runs_stands_in_its_details(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    await suva.ledger.note_languages(suva.worker, ["bash", "bun"])
    page = (await cluster.admin.get(f"/workers/agent/{suva.worker}")).text
    assert "<code>bash</code> <code>bun</code>" in page


async def test_who_was_sent_away_long_ago_is_shown_to_whoever_looks_for_it(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    await suva.ledger.heard(suva.worker, held=0, left=True)
    cluster.clock.ahead_s += 8 * 86_400
    assert await names(cluster, "") == []
    assert await names(cluster, "?q=suva") == await names(cluster, "?state=away") == ["suva"]


async def names(cluster: Running, query: str) -> list[str]:
    return [worker.rpartition("-")[2] for worker in await rows_of(cluster, query)]


async def three(cluster: Running) -> list[Site]:
    made = [await site(cluster, name, group=group) for name, group in
            (("suva", "shops"), ("nadi", "shops"), ("lomaiviti", "ferries"))]  # fmt: skip
    for held, one in enumerate(made):
        await one.ping(held=held, next_s=1e6 if one is not made[1] else 0.1)
    return made


async def test_they_are_found_and_sorted(cluster: Running) -> None:
    await three(cluster)
    cluster.clock.ahead_s += 30
    assert await names(cluster, "") == ["lomaiviti", "nadi", "suva"]  # by group, then by name
    assert await names(cluster, "?q=SUVA") == ["suva"]
    assert await names(cluster, "?q=pos-n+nadi") == ["nadi"]
    assert await names(cluster, "?group=shops&sort=held") == ["nadi", "suva"]
    assert await names(cluster, "?state=away") == ["nadi"]
    assert await names(cluster, "?state=stuck") == ["nadi"]
    assert await names(cluster, "?group=shops&state=up") == ["suva"]
    assert await names(cluster, "?q=nobody") == []
    assert (await cluster.admin.get("/workers?sort=colour")).status_code == 400


async def test_a_missing_normal_worker_is_warned_of(cluster: Running) -> None:
    page = (await cluster.admin.get("/workers")).text
    assert "No normal worker listens to" in page
    assert "No worker has come yet" in page


async def test_a_normal_worker_stands_there_while_it_lives(cluster: Running) -> None:
    served = frozenset(map(Tag, ("flow", "dependency")))
    normal = NormalWorker(WorkerName("wk-default-here-a1b2c"), "default", served)
    cluster.cluster.workers.ping(normal, Ping(ping_type="MainLoop"))
    assert len((await cluster.admin.get("/api/workers/list")).json()) == 1  # and so it is recorded
    rows = await rows_of(cluster)
    assert list(rows) == [normal.worker]
    assert rows[normal.worker].startswith("here-a1b2c dependency flow ● up")
    assert "No normal worker listens to" not in (await cluster.admin.get("/workers")).text
    cluster.clock.ahead_s += 30
    assert await names(cluster, "?state=away") == ["a1b2c"]
    assert "No normal worker listens to" in (await cluster.admin.get("/workers")).text
    cluster.clock.ahead_s += 300
    assert await names(cluster, "") == []


@pytest.mark.on_both_stores
async def test_a_thousand_sites_are_a_page_like_any_other(cluster: Running) -> None:
    await site(cluster, "first")
    now = {"now": cluster.clock.wall_s()}
    rows = [now | {"worker": f"ag-shops-{number:04d}"} for number in range(MANY)]
    await cluster.store.write(lambda db: db.executemany(THOUSAND, rows))
    cluster.clock.ahead_s += SOON_S
    began_s = time.monotonic()
    page = await cluster.admin.get("/workers", headers={"accept-encoding": "gzip"})
    took_s = time.monotonic() - began_s
    assert len(ROW.findall(page.text)) == 50
    assert "page 1 of 21" in page.text
    assert took_s < 1.0
    urls = dict.fromkeys(re.findall(r'(?:src|href)="(/static/[^"]+)"', page.text))
    loads = [await cluster.admin.get(url, headers={"accept-encoding": "gzip"}) for url in urls]
    assert sum(map(sent_bytes, [page, *loads])) < FIRST_LOAD_BYTES
