"""The embedded cluster, wired: services for the relay in process, routes for everybody else."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from starlette.requests import Request
from starlette.routing import BaseRoute

from agent.clock import Clock
from bridge.agents import routes as worker_routes
from bridge.agents import unserved
from bridge.agents.api import AgentApi, LuggageFor
from bridge.agents.holding import Holding
from bridge.agents.offered import Offered
from bridge.agents.service import Workers
from bridge.agents.trust import Sign, Trust
from bridge.audit import routes as audit_routes
from bridge.audit.service import Audit
from bridge.dependencies import routes as dependency_routes
from bridge.dependencies.flows import push_flow_dependencies
from bridge.dependencies.settling import Settling
from bridge.devices import routes as device_routes
from bridge.devices.service import FIRST_USE, Devices, Rules
from bridge.devices.successors import Successors
from bridge.flows.asking import Asking, Expressions
from bridge.flows.deployed import Flows
from bridge.flows.reading import FlowRecords
from bridge.flows.restarts import Restarts
from bridge.flows.resumes import Resumes
from bridge.flows.routes import DeployedRoutes
from bridge.flows.run_routes import RunRoutes
from bridge.flows.sayers import Sayers
from bridge.flows.step_routes import StepRoutes
from bridge.flows.turns import Turns
from bridge.flows.user_states import UserStates
from bridge.flows.word_routes import WordRoutes
from bridge.jobs import detail_routes, wait_routes
from bridge.jobs import routes as job_routes
from bridge.jobs.details import Details
from bridge.jobs.formers import Formers
from bridge.jobs.parts import Parts
from bridge.jobs.records import Records
from bridge.jobs.scripts import Scripts
from bridge.jobs.service import Jobs
from bridge.jobs.tag_rules import EVERYBODYS, TagRules
from bridge.jobs.waiting import Waiting
from bridge.offline.service import Offline
from bridge.relay.ledger import Ledger
from bridge.relay.policy import Policies
from bridge.relay.sources.local import LuggageOf
from bridge.resources import routes as resource_routes
from bridge.resources import type_routes as resource_type_routes
from bridge.resources.arguments import Arguments
from bridge.resources.interpolation import Interpolation
from bridge.resources.service import Resources
from bridge.resources.types import ResourceTypes
from bridge.schedules import routes as schedule_routes
from bridge.schedules.service import Schedules
from bridge.store.bulletin import Bulletin
from bridge.store.store import Store
from bridge.tokens import routes as token_routes
from bridge.tokens.gate import Gate
from bridge.tokens.service import Tokens
from bridge.tokens.workspaces import Workspaces
from bridge.variables import environment
from bridge.variables import routes as variable_routes
from bridge.variables.environment import Environments
from bridge.variables.service import Variables
from bridge.variables.vault import open_vault

NO_POLICIES: Final = Policies()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    bulletin: Bulletin
    jobs: Jobs
    environments: Environments
    details: Details
    luggage: LuggageOf
    schedules: Schedules
    tokens: Tokens
    workspaces: Workspaces
    devices: Devices
    successors: Successors
    workers: Workers
    holding: Holding
    scripts: Scripts
    flows: Flows
    turns: Callable[[Expressions], Turns]  # of a normal worker in this process
    gate: Gate
    audit: Audit
    routes: Sequence[BaseRoute]
    generated_password: str | None  # print it once: only its hash is kept

    async def require_superadmin(self, request: Request) -> str:
        """The user's name, for routes beside ours. Raises `NotAuthorized` and `PermissionDenied`."""
        return (await self.gate.superadmin(request)).username


@dataclass(frozen=True, slots=True)
class _Values:
    """What jobs may name."""

    variables: Variables
    resources: Resources
    interpolation: Interpolation
    types: ResourceTypes
    offline: Offline

    @classmethod
    async def open(cls, store: Store, clock: Clock) -> "_Values":
        variables, resources = Variables(store, await open_vault(store)), Resources(store, clock)
        interpolation = Interpolation(variables, resources)
        offline = Offline(store, variables, resources, interpolation)
        return cls(variables, resources, interpolation, ResourceTypes(store, clock), offline)

    def routes(self, gate: Gate) -> list[BaseRoute]:
        return [
            *variable_routes.routes(self.variables, gate),
            *resource_routes.routes(self.resources, self.interpolation, gate),
            *resource_type_routes.routes(self.types, gate),
        ]

    def for_all_of_its_tag(self, devices: Devices) -> LuggageOf:
        return lambda job: self.offline.luggage(job, devices.of_tag)

    def for_one(self, devices: Devices) -> LuggageFor:
        return lambda job, kid: self.offline.luggage(job, lambda _tag, _most: devices.key(kid))


def _turns(
    store: Store,
    bulletin: Bulletin,
    clock: Clock,
    jobs: Jobs,
    tags: TagRules,
    values: _Values,
    expressions: Expressions,
) -> Turns:
    asking = Asking(store, expressions, values.variables, values.interpolation)
    return Turns(bulletin, clock, jobs.heartbeats, tags, asking)


async def open_cluster(
    store: Store,
    clock: Clock,
    base_url: str,
    admin_password: str | None,
    tags: TagRules = EVERYBODYS,
    policies: Policies = NO_POLICIES,
    rules: Rules = FIRST_USE,
    sign: Sign | None = None,
) -> Cluster:
    """The cluster in `store`, which stays the caller's to close. `base_url` has no trailing slash.

    `sign`: signs the jobs that are handed out over HTTP; without it they carry no signature.
    """
    tokens = await Tokens.open(store, clock)
    generated = await tokens.bootstrap(admin_password)
    workspaces = Workspaces(store)
    audit = Audit(store, clock)
    devices = await Devices.open(store, clock, tokens.verify_agent, tokens.seen.note, rules)
    successors = Successors(store, clock, tokens.end)
    gate = Gate(tokens, workspaces, devices.verify)
    values = await _Values.open(store, clock)
    bulletin = Bulletin(store)
    jobs = Jobs(
        store, bulletin, clock, tokens.jobs, Arguments(values.interpolation, base_url), tags, policies
    )
    workers = Workers(store, clock, bulletin)
    holding = Holding(store, jobs)
    records = Records(store, clock, jobs.heartbeats)
    details = Details(store, clock)
    scripts = Scripts(store, bulletin, clock, tags, Settling(tags).settle)
    environments = Environments(store)
    schedules = Schedules(store, bulletin, clock, tags)
    agent_api = AgentApi(
        jobs,
        Parts(store),
        holding,
        details,
        environments,
        workers,
        gate,
        base_url,
        Trust(devices, successors, sign),
        Offered(tokens.agents, devices, Formers(store), Ledger(store, clock), clock),
        values.for_one(devices),
    )
    opened = Cluster(
        bulletin=bulletin,
        jobs=jobs,
        environments=environments,
        details=details,
        luggage=values.for_all_of_its_tag(devices),
        schedules=schedules,
        tokens=tokens,
        workspaces=workspaces,
        devices=devices,
        successors=successors,
        workers=workers,
        holding=holding,
        scripts=scripts,
        flows=Flows(store, bulletin, clock, tags, partial(push_flow_dependencies, Settling(tags))),
        turns=partial(_turns, store, bulletin, clock, jobs, tags, values),
        gate=gate,
        audit=audit,
        routes=(),
        generated_password=generated,
    )
    routes = _routes_of(opened, agent_api, records, values, tags, store, base_url, clock)
    return replace(opened, routes=routes)


def _flow_routes(
    cluster: Cluster, store: Store, waiting: Waiting, base_url: str, clock: Clock
) -> list[BaseRoute]:
    gate, resumes = cluster.gate, Resumes(store, cluster.bulletin, clock)
    return [
        *DeployedRoutes(cluster.flows, gate).all(),
        *RunRoutes(cluster.jobs, cluster.flows, Restarts(store), waiting, gate).all(),
        *StepRoutes(FlowRecords(store), UserStates(store), gate).all(),
        *WordRoutes(resumes, Sayers(store), gate, base_url).all(),
    ]


def _routes_of(
    cluster: Cluster,
    agent_api: AgentApi,
    records: Records,
    values: _Values,
    tags: TagRules,
    store: Store,
    base_url: str,
    clock: Clock,
) -> list[BaseRoute]:
    """The busiest first: routes are tried in order."""
    jobs, gate, audit, details = cluster.jobs, cluster.gate, cluster.audit, cluster.details
    waiting = Waiting(jobs, records, jobs.endings, clock)
    return [
        *agent_api.all(),
        *device_routes.routes(cluster.devices, cluster.successors, cluster.tokens, gate, audit),
        *job_routes.routes(jobs, records, details, cluster.scripts, FlowRecords(store), gate),
        *wait_routes.routes(waiting, gate),
        *dependency_routes.routes(store, cluster.scripts, jobs, waiting, tags, gate),
        *_flow_routes(cluster, store, waiting, base_url, clock),
        *detail_routes.routes(details, gate),
        *schedule_routes.routes(cluster.schedules, gate),
        *environment.routes(cluster.environments, gate, audit),
        *values.routes(gate),
        *token_routes.routes(cluster.tokens, cluster.workspaces, gate, audit),
        *audit_routes.routes(audit, gate),
        *worker_routes.routes(cluster.workers, details, tags, gate),
        *unserved.routes(gate),
    ]
