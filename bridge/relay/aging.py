"""The time that a job waits at the bridge counts towards its not_after (bundle age)."""

from dataclasses import replace

from agent.wire.envelope import pack
from agent.wire.messages import Job
from bridge.relay.ledger import Ledger


async def aged(ledger: Ledger, job: Job, now_s: float) -> Job:
    """As it goes out now, and as the ledger has it from now on; `now_s` is in wall seconds."""
    if job.lives_s is None:
        return job
    older = replace(job, age_s=max(0.0, now_s - job.dispatched_at))
    await ledger.set_body((job.job_id, job.attempt), pack([older]))
    return older
