"""What a ping says of running jobs reaches the cluster once, and only from the agent that has them."""

from pathlib import Path

from agent.clock import SystemClock
from agent.wire.claims import Attempt, Claims, JobId, Tag, WorkerName
from bridge.relay import progress
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.progress import JobProgress
from bridge.store.connection import open_store

TILL, OTHER = WorkerName("ag-pos-till"), WorkerName("ag-pos-other")


class Told:
    """Of a source the one call that is used here."""

    def __init__(self) -> None:
        self.percents: list[tuple[str, int]] = []

    async def set_progress(self, custody: Custody, percent: int) -> None:
        self.percents.append((custody.job_id, percent))


async def test_it_comes_once_and_from_its_custodian(tmp_path: Path) -> None:
    store = await open_store(tmp_path / "bridge.db")
    ledger, told = Ledger(store, SystemClock()), Told()
    for worker in (TILL, OTHER):
        claims = Claims(worker=worker, worker_group="pos", tags=frozenset((Tag("pos"),)), expires_s=2e9)
        await ledger.enrol(claims, "0", 1)
    for name in ("a", "b"):
        key = (JobId(name), Attempt(1))
        custody = Custody(
            job_id=key[0], attempt=key[1], workspace="main", tag=Tag("pos"), token="t", job_json="{}"
        )
        await ledger.take(custody, b"")
        await ledger.published(key)
        await ledger.accept(key, TILL)
    carried = JobProgress(told, ledger)  # type: ignore[arg-type] # the one call of it
    await carried.note(TILL, {"a": "42", "b": "7"})
    await carried.note(TILL, {"a": "42", "b": "8"})
    await carried.note(OTHER, {"a": "99"})
    await carried.note(TILL, {"a": "101", "none": "1"})
    await carried.note(TILL, {"a": "x"})
    assert told.percents == [("a", 42), ("b", 7), ("b", 8)]
    await ledger.close((JobId("a"), Attempt(1)), "success", None)
    await carried.note(TILL, {"a": "50"})
    assert len(told.percents) == 3
    for number in range(progress.REMEMBERED_MAX):
        carried._told[TILL, f"job {number}"] = "1"
    await carried.note(TILL, {"b": "9"})
    assert len(carried._told) <= progress.REMEMBERED_MAX + 5
    await store.close()
