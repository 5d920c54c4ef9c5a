"""What agents enrol with, and the link they are given."""

from agent.clock import Clock
from agent.wire.claims import Tag, WorkerName
from bridge.agents.enrol import Address, Enrolments, ProofOfRevocation, no_proof
from bridge.agents.static_users import StaticUsers, without_login
from bridge.config import LoginKind, Settings
from bridge.devices.service import Devices
from bridge.devices.successors import Successors
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.signer import Signer
from bridge.store.store import Store


async def address_of(settings: Settings, store: Store) -> Address:
    if settings.broker_auth is LoginKind.BRIDGE:
        return without_login
    return (await StaticUsers.open(store)).address


def enrolments_of(
    settings: Settings,
    ledger: Ledger,
    devices: Devices,
    successors: Successors,
    signer: Signer,
    address: Address,
    clock: Clock,
    desk: Desk | None,
    *,
    api_url: str = "",
    proof_of_revocation: ProofOfRevocation = no_proof,
    sends_bundles: bool = False,
) -> Enrolments:
    """With a desk agents get a link over RabbitMQ, without one over HTTP.

    `api_url`: where jobs find the cluster's API, when that is not where agents enrol.
    """
    public = settings.public_amqp_url
    return Enrolments(
        ledger,
        devices,
        successors,
        _let_in if desk is None else desk.admit,
        signer,
        None if public is None else public.reveal(),
        address,
        clock=clock,
        admissions_per_s=settings.admissions_per_s,
        api_url=api_url,
        proof_of_revocation=proof_of_revocation,
        sends_bundles=sends_bundles,
    )


async def _let_in(_worker: WorkerName, _tags: frozenset[Tag]) -> None:
    """An agent whose link is HTTP needs nothing made for it."""
