"""/metrics of `--status-port`: the status, and what the agent has counted, in Prometheus' format."""

from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from agent.clock import SystemClock
from agent.figures import COMMIT_BOUNDS_S, FIGURES, Commits, Figures
from agent.jobs.model import State
from agent.site.metrics import STATES, text_of
from agent.site.page import FRESH_S, served
from agent.spool.spool import Spool
from tests.support.until import until

Seen = Mapping[tuple[str, str], float]


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    yield opened
    await opened.close()


def read(text: str) -> Seen:
    return {
        (sample.name.removeprefix("orvanta_site_"), ",".join(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


async def test_each_commit_and_the_link_are_in_them(spool: Spool) -> None:
    async with (
        served(spool.folder.path, 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        before = read((await client.get("/metrics")).text)
        assert before["link_up", ""] == 0
        await spool.set_meta("link", "up\n1000.0\n")
        after: Seen = {}

        async def is_up() -> bool:
            nonlocal after
            after = read((await client.get("/metrics")).text)
            return after["link_up", ""] == 1

        await until(is_up, within_s=10 * FRESH_S)
    assert after["link_state_seconds", ""] > 1e9
    assert after["spool_commit_seconds_count", ""] == before["spool_commit_seconds_count", ""] + 1
    assert after["spool_commit_seconds_bucket", "+Inf"] == FIGURES.commits.count
    assert after["spool_most_bytes", ""] > after["spool_used_bytes", ""] > 0
    assert after["start_time_seconds", ""] == FIGURES.began_at


def status(**said: object) -> dict[str, object]:
    room = {"used_mb": 90.0, "free_mb": 500.0, "quota_mb": 100.0, "floor_mb": 16.0, "fault": "full"}
    return {
        "agent": "running", "link": "up", "link_since_s": 5, "custody": {"ready": 3, "finished": 2},
        "backlog": 2, "backlog_age_s": 60, "quarantined": 1, "spool": room, "bundles": {"jobs": 4, "used": 7},
    } | said  # fmt: skip


def test_they_say_what_the_status_says() -> None:
    seen = read(text_of(status(), Figures(links=2)))
    assert [seen["custody_jobs", state] for state in ("ready", "started", "finished")] == [3, 0, 2]
    assert (seen["backlog_results", ""], seen["backlog_oldest_seconds", ""]) == (2, 60)
    assert seen["spool_used_bytes", ""] / seen["spool_most_bytes", ""] == pytest.approx(0.9)
    assert (seen["spool_fault", ""], seen["quarantined_rows", ""], seen["links_total", ""]) == (1, 1, 2)
    assert (seen["bundle_waiting_jobs", ""], seen["bundle_used_bytes", ""]) == (4, 7)


def test_a_spool_that_cannot_be_read_costs_only_what_is_in_it() -> None:
    figures = Figures()
    figures.note_ended(succeeded=True)
    figures.note_ended(succeeded=False)
    seen = read(text_of({"error": "it is gone"}, figures))
    assert seen["jobs_ended_total", "success"] == seen["jobs_ended_total", "failure"] == 1
    assert ("link_up", "") not in seen


def test_a_commit_is_counted_in_each_bound_above_it() -> None:
    commits = Commits()
    for took_s in (0.001, 0.3, 9.0):
        commits.note(took_s)
    assert dict(zip(COMMIT_BOUNDS_S, commits.within, strict=True)) == {
        0.005: 1,
        0.02: 1,
        0.1: 1,
        0.5: 2,
        2.0: 2,
    }
    assert (commits.count, commits.total_s) == (3, pytest.approx(9.301))


def test_the_states_are_those_of_a_job() -> None:
    assert set(STATES) == {state.value for state in State} - {State.DROPPED.value}
