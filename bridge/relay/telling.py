"""The one way down to an agent's control queue."""

from collections.abc import Sequence

from agent.compression import compress
from agent.wire.claims import WorkerName
from agent.wire.envelope import pack, seal
from agent.wire.messages import Message
from bridge.broker.channel import Broker


async def tell(broker: Broker, worker: WorkerName, messages: Sequence[Message]) -> None:
    """Its queue keeps them while the agent is away. Raises `BrokerDown`."""
    await broker.ensure_agent(worker)
    await broker.publish_control(worker, seal(pack(messages), compress))
