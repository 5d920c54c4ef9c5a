"""New keys and new tokens reach whoever needs them: this bridge's signer, and the agents over their links."""

import asyncio
from typing import Final

import structlog

from agent.database import WriteFailed
from agent.wire.messages import Renew
from bridge.errors import BrokerDown
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.signer import Signer
from bridge.relay.telling import Teller

log = structlog.get_logger()

LOOK_EVERY_S: Final = 2.0  # whoever shares the store may have rotated a key or a token
TELL_S: Final = 10.0
AT_ONCE_MAX: Final = 100  # agents told in one turn; the next one takes the rest


class Renewal:
    """Lives as long as the process, at each bridge of a store: an agent that is told twice enrols twice."""

    def __init__(self, ledger: Ledger, signer: Signer, desk: Desk | None) -> None:
        """`desk`: None where links are HTTP: an agent is told in the answer to its next request."""
        self._ledger = ledger
        self._signer = signer
        self._desk = desk

    async def run(self) -> None:
        """For ever."""
        while True:
            try:
                await self.look()
            except (BrokerDown, WriteFailed, TimeoutError) as error:
                log.warning("renewal.waits", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """Sign with the newest key, and tell agents to enrol again. Raises `BrokerDown`, `WriteFailed`."""
        kids, agents = await self._ledger.renewals(AT_ONCE_MAX)
        if kids != list(self._signer.public_keys()):
            await self._signer.refresh(self._ledger)
            log.info("keys.changed", keys=list(self._signer.public_keys()))
        broker = None if self._desk is None else self._desk.taking_broker()
        if broker is None:
            return
        async with asyncio.timeout(TELL_S):
            for worker in agents:
                await Teller(broker, self._signer).tell(worker, [Renew()])
                await self._ledger.told_to_renew(worker)
