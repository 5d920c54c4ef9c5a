"""Asks agents for the jobs that they should hold: neither a damaged spool nor a broker knows what it lost."""

import math
from typing import Final

from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.messages import Check
from bridge.relay.ledger import Ledger
from bridge.relay.telling import Teller

BATCH_MAX: Final = 500  # checks in one message


async def check_held(ledger: Ledger, teller: Teller, worker: WorkerName, before: float = math.inf) -> None:
    """Of what it accepted `before` then. What it does not hold it rejects, and `Lost.given_up` decides.

    Sound without a clock: a row has a custodian only after that agent held the job on disk, and the agent
    lets go only after the row is closed. Raises `BrokerDown`.
    """
    after = (JobId(""), Attempt(0))
    while keys := await ledger.held_by(worker, before, after, BATCH_MAX):
        await teller.tell(worker, [Check(job_id=job_id, attempt=attempt) for job_id, attempt in keys])
        after = keys[-1]
