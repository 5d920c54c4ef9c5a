"""Tells a custodian to drop what it has lost: at once, and again when it comes back."""

from typing import Final

from agent.wire.claims import WorkerName
from agent.wire.messages import Revoke
from bridge.broker.channel import Broker
from bridge.relay.ledger import Ledger
from bridge.relay.telling import tell

BATCH_MAX: Final = 500  # revokes in one message


async def revoke_lost(ledger: Ledger, broker: Broker, worker: WorkerName) -> None:
    """Its control queue keeps them while it is away. Raises `BrokerDown`; then the next hello asks again."""
    while keys := await ledger.lost_by(worker, BATCH_MAX):
        await tell(broker, worker, [Revoke(job_id=job_id, attempt=attempt) for job_id, attempt in keys])
        for key in keys:
            await ledger.cancel_sent(key, "revoke")
