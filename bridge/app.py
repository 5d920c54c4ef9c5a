"""Wires the bridge together and supervises it: with `wiring` the only place that names concrete classes."""

import hashlib
import socket
from functools import partial
from pathlib import Path

import structlog
from starlette.routing import BaseRoute

from agent.clock import Clock, SystemClock
from agent.tls.outbound import is_in_clear
from agent.wire.claims import TokenId
from agent.wire.tokens import instance_of
from bridge.agents.broker_auth import BrokerAuth
from bridge.agents.enrol import Proofs
from bridge.agents.revocations import Ended, Take
from bridge.agents.taken import TakenTokens
from bridge.config import Settings, vhost_of
from bridge.devices.service import Devices
from bridge.devices.successors import Successors
from bridge.errors import ConfigError
from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.renewal import Renewal
from bridge.relay.routes import CustodyRoutes
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.runs.carriage import Carriage
from bridge.store.connection import open_store
from bridge.store.leading import Part
from bridge.store.on_server import OnServer
from bridge.store.sharing import led, listening
from bridge.store.store import Store
from bridge.tokens.seen import SeenTokens
from bridge.tokens.service import Tokens
from bridge.web.cluster import Cluster, open_cluster
from bridge.wiring.deciding import carriage_of, deciding_routes
from bridge.wiring.ending import end_tokens
from bridge.wiring.enrolling import address_of, enrolments_of
from bridge.wiring.relaying import desk_of, one_term, taker
from bridge.wiring.rounds import announce, keep_up, look_for_untold, sweep
from bridge.wiring.serving import together, until_signal
from bridge.wiring.supplying import supplying_of
from bridge.wiring.watching import watching_of
from bridge.wiring.working import until_told, working_of

log = structlog.get_logger()


async def serve(settings: Settings) -> None:
    """Cluster, API and relay in one process, until SIGTERM or SIGINT."""
    from bridge.wiring import showing  # noqa: PLC0415 the pages' templates, which `relay` does without

    clock = SystemClock()
    store, leadership = led(await open_store(settings.store), settings.store, clock)
    try:
        ledger = Ledger(store, clock)
        signer = await Signer.load(ledger)
        cluster = await _cluster(settings, store, clock, signer)
        supplying = supplying_of(settings, store, clock, signer, cluster)
        tokens, devices = cluster.tokens, cluster.devices
        is_revoked = partial(_is_revoked, tokens, cluster.successors)
        lead: dict[str, Part] = {
            "sweep": partial(sweep, cluster, settings.zombie_timeout_s),
            "schedules": cluster.schedules.run,
        }
        stand_by: dict[str, Part] = {"silence": partial(keep_up, cluster, settings.zombie_timeout_s)}
        routes: list[BaseRoute] = [*CustodyRoutes(ledger, cluster.require_superadmin).all()]
        ending = partial(end_tokens, settings, tokens.seen, tokens.blacklist.all, clock)
        takers: list[Take] = [partial(_take_back, cluster)]
        desk: Desk | None = None
        source = LocalSource(cluster.jobs, cluster.environments, cluster.details, cluster.luggage)
        recorder = Recorder(source, ledger, clock)
        quarantine = Quarantine(ledger, recorder, is_revoked, source.record)
        lead["quarantine"] = partial(quarantine.run, clock)
        letters = DeadLetters(store, clock)
        carriage: Carriage | None = None
        if settings.amqp_url is None:
            await _refuse_to_forget(ledger)
            lead["revocations"] = partial(ending, takers)
        else:
            desk = desk_of(settings, settings.amqp_url, ledger)
            carriage = carriage_of(settings, desk, ledger, letters, recorder, quarantine, clock)
            relaying = partial(one_term, settings, desk, source, ledger, signer, quarantine, devices, clock)
            relaying = partial(relaying, letters=letters, supply=supplying.supply)
            lead["relay"] = partial(relaying, lambda relay: ending([*takers, taker(relay)]))
            stand_by["desk"] = desk.stand_by
            routes += BrokerAuth(devices.verify, tokens.seen, vhost_of(settings.amqp_url)).routes()
        enrolments = enrolments_of(
            settings,
            ledger,
            devices,
            cluster.successors,
            signer,
            await address_of(settings, store),
            clock,
            desk,
            proof_of_revocation=Proofs(is_revoked, signer.sign).of,
            sends_bundles=supplying.supply is not None,
        )
        pages = showing.pages_of(
            settings, cluster, store, ledger, clock, signer, desk, letters, quarantine, carriage
        )
        routes += deciding_routes(letters, quarantine, carriage, cluster)
        lead["fleet"] = showing.keeping_of(store, ledger, clock)
        watching = watching_of(settings, store, clock, leadership, desk, pages, cluster)
        routes = [*enrolments.routes(), *routes, *cluster.routes, *supplying.routes, *pages.routes]
        beside: dict[str, Part] = {
            "leading": partial(leadership.run, partial(together, lead), partial(together, stand_by)),
            "renewal": Renewal(ledger, signer, desk).run,
            "wishes": pages.wishes,
            **(_always(cluster, settings) | supplying.parts | watching.parts),
        }
        if settings.worker is not None:
            working = await working_of(settings, settings.worker, cluster, store, clock)
            beside |= {"worker": working.work, "worker's tags": working.served}
        await until_signal(settings, [*routes, *watching.routes], beside, showing.stopping_of(cluster, pages))
    finally:
        await store.close()


async def work(settings: Settings) -> None:
    """Only a normal worker, on the database that bridges serve, until SIGTERM or SIGINT."""
    assert settings.worker is not None  # noqa: S101 the command asks for one
    clock = SystemClock()
    store = await open_store(settings.store)
    try:
        cluster = await _cluster(settings, store, clock, await Signer.load(Ledger(store, clock)))
        working = await working_of(settings, settings.worker, cluster, store, clock)
        await until_told(_always(cluster, settings), working, cluster, settings.systemd)
    finally:
        await store.close()


def _always(cluster: Cluster, settings: Settings) -> dict[str, Part]:
    """What a cluster does at each bridge, whoever leads."""
    parts: dict[str, Part] = {
        "presence": cluster.workers.run,
        "what nobody was told of": partial(look_for_untold, cluster),
    }
    if isinstance(settings.store, OnServer):
        parts["listening"] = listening(settings.store, cluster.bulletin)
        parts["heartbeats"] = cluster.jobs.tell_heartbeats
    return parts


async def _cluster(settings: Settings, store: Store, clock: Clock, signer: Signer) -> Cluster:
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
    return cluster


async def relay(settings: Settings) -> None:
    """Only the relay, against any Orvanta over HTTP, until SIGTERM or SIGINT."""
    from bridge.agents.introspection import Introspection  # noqa: PLC0415 httpx, which `serve` does without
    from bridge.relay.sources.http import HTTPSource  # noqa: PLC0415 see above
    from bridge.upstream import Upstream  # noqa: PLC0415 see above

    if settings.upstream_url is None or settings.amqp_url is None:
        raise ConfigError("AMQP_URL and BASE_INTERNAL_URL are needed to relay for a cluster")
    if is_in_clear(settings.upstream_url):
        log.warning("cluster.in_clear", mend="its tokens and jobs can be read on the way; take https://")
    clock = SystemClock()
    store, leadership = led(await open_store(settings.store), settings.store, clock)
    upstream = Upstream(settings.upstream_url, clock, outbound=settings.outbound)
    ledger, seen = Ledger(store, clock), SeenTokens(store, clock)
    source = HTTPSource(upstream, settings.agent_tokens, _suffix(settings.store), ledger, clock)
    introspection = Introspection(upstream, clock, TakenTokens(store, clock))
    try:
        signer = await Signer.load(ledger)
        devices = await Devices.open(store, clock, introspection.verify, seen.note, settings.devices)
        successors = Successors(store, clock, _outlive)
        desk = desk_of(settings, settings.amqp_url, ledger)
        address = await address_of(settings, store)
        enrolments = enrolments_of(
            settings, ledger, devices, successors, signer, address, clock, desk, api_url=settings.base_url
        )
        auth = BrokerAuth(devices.verify, seen, vhost_of(settings.amqp_url))
        quarantine = Quarantine(ledger, Recorder(source, ledger, clock), introspection.is_refused)
        relaying = partial(one_term, settings, desk, source, ledger, signer, quarantine, devices, clock)
        ending = partial(end_tokens, settings, seen, introspection.refused, clock)
        watching = watching_of(settings, store, clock, leadership, desk)
        lead: dict[str, Part] = {
            "relay": partial(relaying, lambda relay: ending([taker(relay)])),
            "announcement": partial(announce, source),
            "quarantine": partial(quarantine.run, clock),
        }
        running: dict[str, Part] = {
            "leading": partial(leadership.run, partial(together, lead), desk.stand_by),
            "introspection": introspection.run,
            "renewal": Renewal(ledger, signer, desk).run,
            **watching.parts,
        }
        routes = [*enrolments.routes(), *auth.routes(), *watching.routes]
        await until_signal(settings, routes, running, lambda: None)
    finally:
        source.close()
        await upstream.close()
        await store.close()


async def _take_back(cluster: Cluster, ended: Ended) -> None:
    await cluster.holding.take_from(ended.worker, ended.why, is_trusted=ended.is_trusted)


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
