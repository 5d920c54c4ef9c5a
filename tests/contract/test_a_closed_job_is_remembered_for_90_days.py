"""The ledger keeps closed rows for 90 days, and not for ever after its clock was ahead by years."""

from pathlib import Path

from agent.wire.claims import Attempt, JobId, Tag
from bridge.relay.ledger import CLOSED_KEPT_S, Custody, Ledger
from bridge.store.connection import open_store
from tests.support.cluster import MovedClock

YEARS_S = 30 * 365 * 86_400.0


async def closed(ledger: Ledger, name: str) -> None:
    custody = Custody(
        job_id=JobId(name), attempt=Attempt(1), workspace="main", tag=Tag("t"), token="", job_json=""
    )
    await ledger.take(custody, b"body")
    await ledger.close((custody.job_id, custody.attempt), "success")


async def kept(ledger: Ledger) -> list[str]:
    await ledger.prune()
    return [row["job_id"] for row in await ledger.custody()]


async def test_at_a_right_clock_and_after_a_wrong_one(tmp_path: Path) -> None:
    clock = MovedClock()
    store = await open_store(tmp_path / "bridge.db")
    ledger = Ledger(store, clock)
    await closed(ledger, "a")
    clock.ahead_s = YEARS_S
    await closed(ledger, "b")
    clock.ahead_s = 0.0
    assert sorted(await kept(ledger)) == ["a", "b"]
    clock.ahead_s = CLOSED_KEPT_S - 60
    assert sorted(await kept(ledger)) == ["a", "b"]
    clock.ahead_s = CLOSED_KEPT_S + 60
    assert await kept(ledger) == []
    await store.close()


async def test_an_open_row_is_never_forgotten(tmp_path: Path) -> None:
    clock = MovedClock()
    store = await open_store(tmp_path / "bridge.db")
    ledger = Ledger(store, clock)
    await ledger.take(
        Custody(job_id=JobId("a"), attempt=Attempt(1), workspace="main", tag=Tag("t"), token="", job_json=""),
        b"body",
    )
    clock.ahead_s = YEARS_S
    assert await kept(ledger) == ["a"]
    await store.close()
