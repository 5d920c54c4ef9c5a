"""Tells a custodian to drop what it has lost: at once, again when it comes back, and when the job is over."""

from typing import Final

from agent.wire.claims import WorkerName
from agent.wire.messages import Revoke
from bridge.relay.ledger import Ledger
from bridge.relay.telling import Teller

BATCH_MAX: Final = 500  # revokes in one message


async def revoke_lost(ledger: Ledger, teller: Teller, worker: WorkerName) -> None:
    """Its control queue keeps them while it is away. Raises `BrokerDown`; then the next look asks again."""
    while revokes := await ledger.to_revoke(worker, BATCH_MAX):
        await teller.tell(
            worker,
            [Revoke(job_id=key[0], attempt=key[1], over=over) for key, over in revokes],
        )
        for key, over in revokes:
            await ledger.note_revoked(key, over=over)


async def revoke_all(ledger: Ledger, teller: Teller) -> None:
    """Every custodian for whom there is news. Raises `BrokerDown`."""
    for worker in await ledger.who_to_revoke():
        await revoke_lost(ledger, teller, worker)
