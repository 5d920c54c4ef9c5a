"""The relay of a bridge with a broker: its desk, and a life of its own for each time of leading."""

from collections.abc import Callable, Coroutine
from typing import Any

from agent.clock import Clock
from agent.logs import Secret
from bridge.agents.revocations import Take
from bridge.broker.channel import connect
from bridge.broker.topology import Topology
from bridge.config import Settings
from bridge.devices.service import Devices
from bridge.relay.collector import Supply
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.life import Relay
from bridge.relay.quarantine import Quarantine
from bridge.relay.signer import Signer
from bridge.relay.sources.source import Source
from bridge.wiring.serving import together


def desk_of(settings: Settings, url: Secret, ledger: Ledger) -> Desk:
    topology = Topology(settings.broker_nodes)
    return Desk(lambda gone: connect(url.reveal(), topology, gone, settings.outbound), ledger)


async def one_term(
    settings: Settings,
    desk: Desk,
    source: Source,
    ledger: Ledger,
    signer: Signer,
    quarantine: Quarantine,
    devices: Devices,
    clock: Clock,
    ending: Callable[[Relay], Coroutine[Any, Any, None]],
    letters: DeadLetters | None = None,
    supply: Supply | None = None,
) -> None:
    """A new relay for each time of leading: what the last one remembered may be wrong by now.

    `ending`: what carries out the end of agents' tokens, and takes from the relay what they hold. `letters`:
    where dead letters go; without, they stay in the broker. `supply`: what sends agents what jobs import.
    """
    relay = Relay(
        desk,
        source,
        ledger,
        signer,
        clock,
        settings.policies,
        quarantine,
        devices.require_signed,
        ready_max=settings.ready_max,
        letters=letters,
        supply=supply,
    )
    await together({"jobs": relay.run, "revocations": lambda: ending(relay)})


def taker(relay: Relay) -> Take:
    return lambda ended: relay.take_from(ended.worker, ended.why, is_trusted=ended.is_trusted)
