"""Asks a restarted agent for every job that it should hold: a damaged spool does not know what it lost."""

from typing import Final

from agent.compression import compress
from agent.wire.claims import Attempt, JobId, WorkerName
from agent.wire.envelope import pack, seal
from agent.wire.messages import Check, Message
from bridge.broker.channel import Broker
from bridge.relay.ledger import Ledger

BATCH_MAX: Final = 500  # checks in one message


async def check_held(ledger: Ledger, broker: Broker, worker: WorkerName) -> None:
    """What it does not hold it rejects, and `Lost.given_up` decides. Raises `BrokerDown`.

    Sound without a clock: a row has a custodian only after that agent held the job on disk, and the agent
    lets go only after the row is closed.
    """
    after = (JobId(""), Attempt(0))
    while keys := await ledger.held_by(worker, after, BATCH_MAX):
        checks: list[Message] = [Check(job_id=job_id, attempt=attempt) for job_id, attempt in keys]
        await broker.ensure_agent(worker)
        await broker.publish_control(worker, seal(pack(checks), compress))
        after = keys[-1]
