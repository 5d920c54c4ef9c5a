"""Asks a restarted agent for every job that it should hold: a damaged spool does not know what it lost."""

from typing import Final

from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.messages import Check
from bridge.broker.channel import Broker
from bridge.relay.ledger import Ledger
from bridge.relay.telling import tell

BATCH_MAX: Final = 500  # checks in one message


async def check_held(ledger: Ledger, broker: Broker, worker: WorkerName) -> None:
    """What it does not hold it rejects, and `Lost.given_up` decides. Raises `BrokerDown`.

    Sound without a clock: a row has a custodian only after that agent held the job on disk, and the agent
    lets go only after the row is closed.
    """
    after = (JobId(""), Attempt(0))
    while keys := await ledger.held_by(worker, after, BATCH_MAX):
        await tell(broker, worker, [Check(job_id=job_id, attempt=attempt) for job_id, attempt in keys])
        after = keys[-1]
