"""Wires the bridge together and supervises it: the only place that names concrete classes."""

import asyncio
import hashlib
import signal
import socket
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any, Final, Literal

import structlog
import uvicorn
from starlette.routing import BaseRoute

from agent.clock import Clock, SystemClock
from agent.database import WriteFailed
from agent.logs import Secret
from agent.tls.outbound import is_in_clear
from agent.wire.claims import Tag, TokenId, WorkerName
from agent.wire.tokens import instance_of
from bridge.agents.broker_auth import BrokerAuth
from bridge.agents.enrol import Address, Enrolments, ProofOfRevocation, Proofs, no_proof
from bridge.agents.introspection import Introspection
from bridge.agents.revocations import EndConnections, Revocations, Revoked, Take
from bridge.agents.static_users import StaticUsers, without_login
from bridge.broker.channel import connect
from bridge.broker.management import Management
from bridge.broker.topology import Topology
from bridge.config import LoginKind, Settings, vhost_of
from bridge.devices.service import Devices
from bridge.devices.successors import Successors
from bridge.errors import ClusterDown, ConfigError
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.life import Relay
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.renewal import Renewal
from bridge.relay.routes import CustodyRoutes, QuarantineRoutes
from bridge.relay.signer import Signer
from bridge.relay.sources.http import HTTPSource
from bridge.relay.sources.local import LocalSource
from bridge.relay.sources.source import Source
from bridge.store.connection import open_store
from bridge.store.leading import Part
from bridge.store.on_server import OnServer
from bridge.store.sharing import led, listening
from bridge.store.store import Store
from bridge.tokens.seen import SeenTokens
from bridge.tokens.service import Tokens
from bridge.upstream import Upstream
from bridge.web.asgi import build
from bridge.web.cluster import Cluster, open_cluster

log = structlog.get_logger()

SWEEP_EVERY_S: Final = 10.0
ANNOUNCE_EVERY_S: Final = 10.0
LOOK_FOR_UNTOLD_EVERY_S: Final = 30.0
DRAIN_S: Final = 3


async def serve(settings: Settings) -> None:
    """Cluster, API and relay in one process, until SIGTERM or SIGINT."""
    clock = SystemClock()
    store, leadership = led(await open_store(settings.store), settings.store, clock)
    try:
        ledger = Ledger(store, clock)
        signer = await Signer.load(ledger)
        cluster = await open_cluster(
            store,
            clock,
            settings.base_url,
            _password(settings),
            settings.tags,
            settings.policies,
            settings.devices,
            signer.headers,
        )
        if cluster.generated_password:
            print(f"superadmin admin@orvanta.local, password {cluster.generated_password}", flush=True)  # noqa: T201 shown once
        tokens, devices = cluster.tokens, cluster.devices
        is_revoked = partial(_is_revoked, tokens, cluster.successors)
        lead: dict[str, Part] = {
            "sweep": partial(_sweep, cluster, settings.zombie_timeout_s),
            "schedules": cluster.schedules.run,
        }
        stand_by: dict[str, Part] = {"silence": partial(_keep_up, cluster, settings.zombie_timeout_s)}
        routes: list[BaseRoute] = [*CustodyRoutes(ledger, cluster.require_superadmin).all()]
        ending = partial(_ending, settings, tokens.seen, tokens.blacklist.all, clock)
        takers: list[Take] = [lambda ended: cluster.holding.take_from(ended.worker, ended.why)]
        address = await _address(settings, store)
        if settings.amqp_url is None:
            await _refuse_to_forget(ledger)
        desk: Desk | None = None
        if settings.amqp_url is None:
            lead["revocations"] = partial(ending, takers)
        else:
            source = LocalSource(cluster.jobs, cluster.environments)
            desk = _desk(settings, settings.amqp_url, ledger)
            quarantine = Quarantine(ledger, Recorder(source, ledger, clock), is_revoked)
            relaying = partial(_relay, settings, desk, source, ledger, signer, quarantine, devices, clock)
            lead["relay"] = partial(relaying, lambda relay: ending([*takers, _taker(relay)]))
            stand_by["desk"] = desk.stand_by
            routes += QuarantineRoutes(quarantine, cluster.require_superadmin, cluster.audit.note).all()
            routes += BrokerAuth(devices.verify, tokens.seen, vhost_of(settings.amqp_url)).routes()
        proofs = Proofs(is_revoked, signer.sign)
        enrolments = _enrolments(
            settings,
            ledger,
            devices,
            cluster.successors,
            signer,
            address,
            clock,
            desk,
            proof_of_revocation=proofs.of,
        )
        routes = [*enrolments.routes(), *routes, *cluster.routes]
        beside: dict[str, Part] = {
            "leading": partial(leadership.run, partial(_together, lead), partial(_together, stand_by)),
            "presence": cluster.workers.run,
            "what nobody was told of": partial(_look_for_untold, cluster),
            "renewal": Renewal(ledger, signer, desk).run,
        }
        if isinstance(settings.store, OnServer):
            beside["listening"] = listening(settings.store, cluster.bulletin)
            beside["heartbeats"] = cluster.jobs.tell_heartbeats
        await _until_signal(settings, routes, beside, cluster.jobs.close)
    finally:
        await store.close()


async def relay(settings: Settings) -> None:
    """Only the relay, against any Orvanta over HTTP, until SIGTERM or SIGINT."""
    if settings.upstream_url is None or settings.amqp_url is None:
        raise ConfigError("AMQP_URL and BASE_INTERNAL_URL are needed to relay for a cluster")
    if is_in_clear(settings.upstream_url):
        log.warning("cluster.in_clear", mend="its tokens and jobs can be read on the way; take https://")
    clock = SystemClock()
    store, leadership = led(await open_store(settings.store), settings.store, clock)
    upstream = Upstream(settings.upstream_url, clock, outbound=settings.outbound)
    ledger, seen = Ledger(store, clock), SeenTokens(store, clock)
    source = HTTPSource(upstream, settings.agent_tokens, _suffix(settings.store), ledger, clock)
    introspection = Introspection(upstream, clock)
    try:
        signer = await Signer.load(ledger)
        devices = await Devices.open(store, clock, introspection.verify, seen.note, settings.devices)
        successors = Successors(store, clock, _outlive)
        desk = _desk(settings, settings.amqp_url, ledger)
        address = await _address(settings, store)
        enrolments = _enrolments(
            settings, ledger, devices, successors, signer, address, clock, desk, api_url=settings.base_url
        )
        auth = BrokerAuth(devices.verify, seen, vhost_of(settings.amqp_url))
        quarantine = Quarantine(ledger, Recorder(source, ledger, clock), introspection.is_refused)
        relaying = partial(_relay, settings, desk, source, ledger, signer, quarantine, devices, clock)
        ending = partial(_ending, settings, seen, introspection.refused, clock)
        lead: dict[str, Part] = {
            "relay": partial(relaying, lambda relay: ending([_taker(relay)])),
            "announcement": partial(_announce, source),
        }
        running: dict[str, Part] = {
            "leading": partial(leadership.run, partial(_together, lead), desk.stand_by),
            "renewal": Renewal(ledger, signer, desk).run,
        }
        routes = [*enrolments.routes(), *auth.routes()]
        await _until_signal(settings, routes, running, lambda: None)
    finally:
        source.close()
        await upstream.close()
        await store.close()


async def _together(parts: Mapping[str, Part]) -> None:
    async with asyncio.TaskGroup() as group:
        for name, part in parts.items():
            group.create_task(part(), name=name)


def _desk(settings: Settings, url: Secret, ledger: Ledger) -> Desk:
    topology = Topology(settings.broker_nodes)
    return Desk(lambda gone: connect(url.reveal(), topology, gone, settings.outbound), ledger)


async def _relay(
    settings: Settings,
    desk: Desk,
    source: Source,
    ledger: Ledger,
    signer: Signer,
    quarantine: Quarantine,
    devices: Devices,
    clock: Clock,
    ending: Callable[[Relay], Coroutine[Any, Any, None]],
) -> None:
    """A new one for each time of leading: what the last one remembered may be wrong by now.

    `ending`: what carries out the end of agents' tokens, and takes from the relay what they hold.
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
    )
    await _together({"jobs": relay.run, "revocations": lambda: ending(relay)})


def _taker(relay: Relay) -> Take:
    return lambda ended: relay.take_from(ended.worker, ended.why, is_trusted=ended.is_trusted)


async def _ending(
    settings: Settings, seen: SeenTokens, revoked: Revoked, clock: Clock, takers: Sequence[Take]
) -> None:
    """For ever: the end of tokens is carried out."""
    async with _connections(settings) as end_connections:
        await Revocations(seen, revoked, end_connections, clock).run(takers)


@asynccontextmanager
async def _connections(settings: Settings) -> AsyncIterator[EndConnections]:
    """How connections of agents are ended, for as long as the block lasts."""
    if settings.management_url is None:
        if settings.amqp_url is not None:
            log.warning("management.missing", mend="set MANAGEMENT_URL: without it a revoked agent that is "
                        "linked over RabbitMQ goes on receiving until its link breaks")  # fmt: skip
        yield _end_nothing
        return
    async with Management(settings.management_url, settings.outbound) as management:
        yield management.end_connections


async def _end_nothing(_login: str, _reason: str) -> None:
    """There is no broker, or no way to its connections."""


async def _address(settings: Settings, store: Store) -> Address:
    if settings.broker_auth is LoginKind.BRIDGE:
        return without_login
    return (await StaticUsers.open(store)).address


def _enrolments(
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
    )


async def _let_in(_worker: WorkerName, _tags: frozenset[Tag]) -> None:
    """An agent whose link is HTTP needs nothing made for it."""


async def _is_revoked(tokens: Tokens, successors: Successors, token: TokenId) -> bool:
    """In distrust: the end of a token that was rotated wipes no spool, and doubts no result."""
    return await tokens.blacklist.holds(token) and not await successors.has(token)


async def _outlive(_token: str) -> None:
    """A token of another cluster ends there: only that one can take it back before its `exp`."""


async def _refuse_to_forget(ledger: Ledger) -> None:
    """Without the broker nobody answers for what is out over it, and it would be run a second time (I1)."""
    if out := await ledger.in_custody():
        raise ConfigError(
            f"AMQP_URL is missing, and {len(out)} jobs of this store are out over RabbitMQ; "
            "set it, or let them end before you go on without a broker."
        )


class _Server(uvicorn.Server):
    """Tells who waits for an answer that this is the end, before it waits for them."""

    def __init__(self, config: uvicorn.Config, stopping: Callable[[], None]) -> None:
        super().__init__(config)
        self._stopping = stopping

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._stopping()
        await super().shutdown(sockets)


async def _until_signal(
    settings: Settings,
    routes: Sequence[BaseRoute],
    beside: Mapping[str, Part],
    stopping: Callable[[], None],
) -> None:
    """Run the web server and what stands beside it; the server owns the signals and ends all with it."""
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: None)  # the server raises what it caught once more when it is done
    config = uvicorn.Config(
        build(routes),
        host=settings.host,
        port=settings.port,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=DRAIN_S,
        ssl_certfile=None if settings.tls is None else settings.tls.cert,
        ssl_keyfile=None if settings.tls is None else settings.tls.key,
    )
    async with asyncio.TaskGroup() as group:
        tasks = [group.create_task(work(), name=name) for name, work in beside.items()]
        await _Server(config, stopping).serve()
        for task in tasks:
            task.cancel()


async def _sweep(cluster: Cluster, timeout_s: float) -> None:
    while True:
        await asyncio.sleep(min(SWEEP_EVERY_S, timeout_s))
        try:
            await cluster.jobs.sweep_zombies(timeout_s)
        except WriteFailed as error:
            log.warning("sweep.waits_for_the_store", reason=str(error))


async def _keep_up(cluster: Cluster, timeout_s: float) -> None:
    """The leader's bridge takes jobs from who is silent; this one only knows who is, for when it leads."""
    while True:
        await asyncio.sleep(SWEEP_EVERY_S)
        with suppress(WriteFailed):
            await cluster.jobs.silent(timeout_s)


async def _look_for_untold(cluster: Cluster) -> None:
    """An idle agent is looked for no job, so no news of one may be lost for long, whatever loses it."""
    while True:
        await asyncio.sleep(LOOK_FOR_UNTOLD_EVERY_S)
        try:
            await cluster.jobs.look_for_untold()
        except WriteFailed as error:
            log.warning("jobs.not_looked_for", reason=str(error))


async def _announce(source: HTTPSource) -> None:
    """Tell the upstream cluster who we are as soon as it listens, and that we are still there."""
    ping_type: Literal["Initial", "MainLoop"] = "Initial"
    while True:
        try:
            await source.announce(socket.gethostname(), ping_type)
            ping_type = "MainLoop"
        except ClusterDown as error:
            log.warning("cluster.down", reason=str(error))
            ping_type = "Initial"
        await asyncio.sleep(ANNOUNCE_EVERY_S)


def _password(settings: Settings) -> str | None:
    if settings.admin_password_file is None:
        return None
    try:
        return settings.admin_password_file.read_text().strip()
    except OSError as error:
        raise ConfigError(
            f"ADMIN_PASSWORD_FILE {settings.admin_password_file} cannot be read: {error}"
        ) from error


def _suffix(store: Path | OnServer) -> str:
    """The same at every start, at every bridge of one store: the cluster knows by it whose jobs are out."""
    if isinstance(store, OnServer):
        return f"bridge-{hashlib.sha256(store.name.encode()).hexdigest()[:5]}"
    host = instance_of(socket.gethostname()) or "bridge"
    return f"{host}-{hashlib.sha256(str(store.resolve()).encode()).hexdigest()[:5]}"
