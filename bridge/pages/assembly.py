"""The pages, wired: what `python -m bridge serve` shows to people."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from starlette.routing import BaseRoute

from agent.clock import Clock
from bridge.fleet.service import Fleets
from bridge.fleet.wishes import BrokerNow, Wishes
from bridge.flows.reading import FlowRecords
from bridge.flows.resumes import Resumes
from bridge.flows.sayers import Sayers
from bridge.jobs.tag_rules import TagRules
from bridge.pages.agent_deeds import AgentDeeds
from bridge.pages.approving import ApprovingPages
from bridge.pages.audit import AuditPages
from bridge.pages.dead import DeadPages
from bridge.pages.flow import FlowPart
from bridge.pages.flows import FlowsPage
from bridge.pages.live import Live
from bridge.pages.login import LoginPages
from bridge.pages.new_agent import NewAgentPages
from bridge.pages.new_run import NewRunPages
from bridge.pages.rendering import Rendering
from bridge.pages.run import RunPages
from bridge.pages.runs import RunsPages
from bridge.pages.site import Site
from bridge.pages.workers import WorkerPages
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.signer import Signer
from bridge.runs.carriage import Carriage
from bridge.runs.model import Way
from bridge.runs.service import Runs
from bridge.runs.steps import FlowSteps
from bridge.store.leading import Part
from bridge.store.store import Store
from bridge.web.cluster import Cluster


@dataclass(frozen=True, slots=True)
class Pages:
    routes: Sequence[BaseRoute]
    wishes: Part  # runs at every bridge
    fleets: Fleets
    close: Callable[[], None]  # ends what is live, so that the server can end


def open_pages(
    cluster: Cluster,
    store: Store,
    ledger: Ledger,
    clock: Clock,
    signer: Signer,
    broker_now: BrokerNow | None,
    *,
    tags: TagRules,
    policies: Policies,
    base_url: str,
    letters: DeadLetters,
    quarantine: Quarantine,
    carriage: Carriage | None,
) -> Pages:
    """`base_url`: where sites reach the bridge."""
    rendering = Rendering()
    site = Site(cluster.gate, rendering)
    live = Live(clock, cluster.gate.person)
    fleets = Fleets(store, cluster.bulletin, clock, ledger.presence.record)
    wishes = Wishes(store, clock, signer, broker_now)
    tokens, audit = cluster.tokens, cluster.audit
    return Pages(
        routes=[
            *WorkerPages(site, live, fleets, wishes).routes(),
            *NewAgentPages(site, live, fleets, tokens, audit, clock, tags, policies, base_url).routes(),
            *AgentDeeds(site, fleets, tokens, cluster.successors, audit, clock).routes(),
            *AuditPages(site, audit).routes(),
            *run_routes(cluster, store, clock, site, live, fleets, policies, letters, quarantine, carriage),
            *LoginPages(site, tokens, audit).routes(),
            *rendering.routes(),
        ],
        wishes=wishes.run,
        fleets=fleets,
        close=live.close,
    )


def run_routes(
    cluster: Cluster,
    store: Store,
    clock: Clock,
    site: Site,
    live: Live,
    fleets: Fleets,
    policies: Policies,
    letters: DeadLetters,
    quarantine: Quarantine,
    carriage: Carriage | None,
) -> Sequence[BaseRoute]:
    """Jobs, and what came to nothing. `carriage` None: the bridge has no broker."""
    way = Way if carriage is None else carriage.way
    runs = Runs(store, clock, cluster.jobs.heartbeats, policies, fleets, way)
    replays = None if carriage is None else carriage.replays
    steps = FlowSteps(store, FlowRecords(store), fleets)
    part = FlowPart(site, runs, steps)
    return [
        *RunsPages(site, live, runs).routes(),
        *NewRunPages(site, runs, cluster.jobs, cluster.scripts, cluster.flows).routes(),
        *FlowsPage(site, runs, cluster.flows).routes(),
        *RunPages(site, live, runs, cluster.jobs, part, cluster.flows).routes(),
        *part.routes(),
        *ApprovingPages(site, runs, steps, Resumes(store, cluster.bulletin, clock), Sayers(store)).routes(),
        *DeadPages(site, live, letters, cluster.audit, replays, quarantine).routes(),
    ]
