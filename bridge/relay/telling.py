"""The one way down to an agent's control queue."""

from collections.abc import Sequence

from agent.wire.claims import WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Message
from bridge.broker.channel import Broker
from bridge.relay.signer import Signer


class Teller:
    """Signs what is told: an agent lets a result go, and starts a job, on these words (I1, I2)."""

    def __init__(self, broker: Broker, signer: Signer) -> None:
        self._broker = broker
        self._signer = signer

    async def tell(self, worker: WorkerName, messages: Sequence[Message]) -> None:
        """In one message. Its queue keeps it while the agent is away. Raises `BrokerDown`."""
        await self._broker.ensure_agent(worker)
        await self._broker.publish_control(worker, self._signer.seal_for(worker, pack(messages)))
