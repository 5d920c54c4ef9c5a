"""A read is of one moment: what is committed between its statements is not in it.

Once a result that was told as sent between two of them made a healthy spool look damaged: it was set aside.
"""

import sqlite3
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Result

KEY = (JobId("one"), Attempt(1))


async def finished(folder: Path, document: bytes) -> Spool:
    spool = await Spool.open(folder, SystemClock())
    job = Job(
        job_id=KEY[0], attempt=KEY[1], workspace="main", tag=Tag("t"), language="bash", code="x", args=b"{}"
    )
    await spool.hold(job, pack([job]), "started")
    result = Result(job_id=KEY[0], attempt=KEY[1], workspace="main", success=True, document=document)
    await spool.finish(KEY, "finished", result)
    return spool


async def interrupted(spool: Spool, change: str) -> None:
    """From now on, another connection changes the row before any look at what an index has named."""
    await spool.count_over()
    reader = spool._database._read_connection
    assert reader is not None

    def meddle(statement: str) -> None:
        if "result_crc FROM held" in " ".join(statement.split()):
            with sqlite3.connect(spool.folder.database) as other:
                other.execute(change)
            other.close()

    reader.set_trace_callback(meddle)


@pytest.mark.parametrize("change", ["UPDATE held SET state = 'sent'", "DELETE FROM held"])
async def test_a_result_that_leaves_in_that_moment_is_no_damage(tmp_path: Path, change: str) -> None:
    spool = await finished(tmp_path, b"1")
    await interrupted(spool, change)
    (kept,) = await spool.results(frozenset(), 10, 1000)
    assert kept.key == KEY
    assert await spool.results(frozenset(), 10, 1000) == []
    await spool.close()


@pytest.mark.parametrize("change", ["UPDATE held SET state = 'sent'", "DELETE FROM held"])
async def test_nor_is_a_large_one(tmp_path: Path, change: str) -> None:
    spool = await finished(tmp_path, b"1" * (BLOB_PART_BYTES + 1))
    await interrupted(spool, change)
    kept = await spool.next_blob()
    assert kept is not None
    assert kept.key == KEY
    assert await spool.next_blob() is None
    await spool.close()
