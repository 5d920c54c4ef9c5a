"""A spool that is closed under a running job takes its log no more; the job hears nothing of it."""

import asyncio
from pathlib import Path

from agent.clock import SystemClock
from agent.jobs.joblog import JobLog
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId


async def test_it_is_offered_again_and_again(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path, SystemClock())
    await spool.close()
    joblog = JobLog(spool, (JobId("j"), Attempt(1)), 0, "header\n")
    joblog.write("text")
    closing = asyncio.ensure_future(joblog.close())
    done, _ = await asyncio.wait([closing], timeout=0.1)
    assert not done
    assert joblog.length == 0
    closing.cancel()
