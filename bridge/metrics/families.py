"""The cluster's figures in Prometheus' terms. Pure. Every family is there at every time, at zero too."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from prometheus_client.core import GaugeMetricFamily

from bridge.fleet.model import Agent, Kind, State
from bridge.fleet.service import NEEDED_TAGS
from bridge.metrics.census import Census, Lot

CUSTODY: Final = ("taken", "published", "accepted")
QUEUE: Final = ("later", "ready", "running")
LINKS: Final = {Kind.BROKER: "broker", Kind.HTTP: "http", Kind.NORMAL: "normal"}
SILENT_S: Final = (300, 3_600, 86_400)
NEARLY_FULL: Final = 0.9
SOON_S: Final = 7 * 86_400

Families = Iterator[GaugeMetricFamily]
Samples = Sequence[tuple[Sequence[str], float]]


@dataclass(frozen=True, slots=True)
class Standing:
    """Of this bridge."""

    version: str
    python: str
    leads: bool
    broker_up: bool | None  # None: it has no broker
    certificate_ends: float | None  # wall seconds; None: it serves no HTTPS, or nobody can tell


def of_bridge(standing: Standing, *, store_up: bool) -> Families:
    yield _labelled(
        "orvanta_build_info", "Always 1; its labels say which release runs.", ["version", "python"],
        [([standing.version, standing.python], 1)],
    )  # fmt: skip
    yield _one("orvanta_store_up", "1 while the store answers.", store_up)
    yield _one("orvanta_bridge_leads", "1 at the bridge that relays, sweeps and ticks.", standing.leads)
    broker: Samples = [] if standing.broker_up is None else [([], float(standing.broker_up))]
    yield _labelled("orvanta_broker_up", "1 while this bridge has a session with RabbitMQ.", [], broker)
    ends: Samples = [] if standing.certificate_ends is None else [([], standing.certificate_ends)]
    yield _labelled(
        "orvanta_tls_certificate_ends_timestamp_seconds", "When the bridge's own certificate ends.", [], ends
    )


def of_cluster(census: Census) -> Families:
    yield from _lots(
        "orvanta_custody",
        "Jobs in the relay's custody",
        "longest in custody",
        CUSTODY,
        census.custody,
        census,
    )
    yield from _lots(
        "orvanta_queue", "Jobs of this cluster without a result", "due longest", QUEUE, census.queue, census
    )
    yield _one("orvanta_ledger_rows", "Rows of the ledger, what has ended too.", census.ledger_rows)
    letters = [([kind], float(count)) for kind, count in sorted(census.letters.items())]
    yield _labelled("orvanta_dead_letters", "Dead letters that wait for a decision.", ["kind"], letters)
    yield _one(
        "orvanta_quarantined_results",
        "Results of revoked agents that wait for a decision.",
        census.quarantined,
    )
    yield from of_fleet(census)


def of_fleet(census: Census) -> Families:
    agents = [one for one in census.fleet.agents if one.kind is not Kind.NORMAL]
    there = Counter((one.state, one.kind) for one in census.fleet.agents)
    yield _labelled(
        "orvanta_agents", "Workers by state and link.", ["state", "link"],
        [
            ([state.value, link], float(there[state, kind]))
            for kind, link in LINKS.items() for state in State
        ],
    )  # fmt: skip
    silent = [census.now_s - one.last_heard for one in agents if one.state is State.DOWN]
    yield _labelled(
        "orvanta_agents_silent", "Agents that are down for longer than so many seconds.", ["longer_than_s"],
        [([str(s)], float(sum(one > s for one in silent))) for s in SILENT_S],
    )  # fmt: skip
    yield _one("orvanta_agents_held_jobs", "Jobs at sites, as their agents last said.", _sum(agents, "held"))
    yield _one("orvanta_agents_running_jobs", "Of these, jobs that ran.", _sum(agents, "running"))
    yield _one("orvanta_agents_slots", "Jobs that all agents run at once.", _sum(agents, "slots"))
    yield _one("orvanta_agents_backlog_results", "Results that wait at sites.", _sum(agents, "backlog"))
    yield _one(
        "orvanta_agents_backlog_oldest_seconds", "Age of the oldest result that waits at a site.",
        max((_age_s(one, census.now_s) for one in agents), default=0.0),
    )  # fmt: skip
    shares = [one.spool_share or 0.0 for one in agents]
    yield _one(
        "orvanta_agents_spool_fullest_ratio", "Of the spool that is fullest.", max(shares, default=0.0)
    )
    yield _one(
        "orvanta_agents_spool_nearly_full", f"Agents whose spool is over {NEARLY_FULL:.0%} of its bound.",
        sum(share > NEARLY_FULL for share in shares),
    )  # fmt: skip
    yield _one(
        "orvanta_agents_token_ends_soon", f"Agents whose token ends within {SOON_S // 86_400} days.",
        sum(one.expires_at is not None and 0 < one.expires_at - census.now_s < SOON_S for one in agents),
    )  # fmt: skip
    missing = census.fleet.missing_tags
    yield _labelled(
        "orvanta_normal_worker_missing", "1 while no normal worker serves this tag.", ["tag"],
        [([tag], float(tag in missing)) for tag in NEEDED_TAGS],
    )  # fmt: skip


def of_each_agent(census: Census) -> Families:
    """A handful of series for each worker: for fleets of some hundreds, behind METRICS_PER_WORKER."""
    agents = [one for one in census.fleet.agents if one.kind is not Kind.NORMAL]
    figures: Sequence[tuple[str, str, Callable[[Agent], float]]] = (
        ("up", "1 while its link is up.", lambda one: float(one.is_there)),
        (
            "silent_seconds",
            "Since it was heard of last.",
            lambda one: max(0.0, census.now_s - one.last_heard),
        ),
        ("held_jobs", "Jobs it holds.", lambda one: float(one.held or 0)),
        ("backlog_results", "Results that wait there.", lambda one: float(one.backlog or 0)),
        ("backlog_oldest_seconds", "Age of the oldest of them.", lambda one: _age_s(one, census.now_s)),
        ("spool_ratio", "Of its spool's bound.", lambda one: one.spool_share or 0.0),
    )
    for name, said, figure in figures:
        samples = [([one.group, one.worker], figure(one)) for one in agents]
        yield _labelled(f"orvanta_agent_{name}", said, ["group", "worker"], samples)


def _lots(
    name: str, what: str, oldest: str, states: Sequence[str], lots: Mapping[str, Lot], census: Census
) -> Families:
    found = {state: lots.get(state, Lot(0, census.now_s)) for state in states}
    yield _labelled(
        f"{name}_jobs", f"{what}.", ["state"], [([state], float(lot.jobs)) for state, lot in found.items()]
    )
    ages = [([state], max(0.0, census.now_s - lot.oldest)) for state, lot in found.items()]
    yield _labelled(f"{name}_oldest_seconds", f"Age of the one that is {oldest}.", ["state"], ages)


def _age_s(agent: Agent, now_s: float) -> float:
    return 0.0 if agent.backlog_since is None else max(0.0, now_s - agent.backlog_since)


def _sum(agents: Sequence[Agent], field: str) -> float:
    return float(sum(getattr(one, field) or 0 for one in agents))


def _one(name: str, said: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, said, value=float(value))


def _labelled(name: str, said: str, labels: Sequence[str], samples: Samples) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, said, labels=list(labels))
    for values, value in samples:
        family.add_metric(list(values), value)
    return family
