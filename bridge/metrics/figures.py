"""What this process counts and times of its own work, in Prometheus' terms.

Each figure stands here once and is moved where the thing happens. A label has a few values that are known
beforehand: never a job, a tag or a worker, of which there may be millions.
"""

from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)

disable_created_metrics()  # type: ignore[no-untyped-call] # a library without types; a series for each figure that says when it began, which nobody asks for

REGISTRY: Final = CollectorRegistry()
QUICK_S: Final = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)

ProcessCollector(registry=REGISTRY)

JOBS_COMPLETED: Final = Counter(
    "orvanta_jobs_completed_total",
    "Jobs that got their result in this cluster.",
    ["status"],
    registry=REGISTRY,
)
RESULTS_RECORDED: Final = Counter(
    "orvanta_results_recorded_total",
    "Jobs whose custody the relay ended, by how they ended.",
    ["outcome"],
    registry=REGISTRY,
)
RESULTS_LATE: Final = Counter(
    "orvanta_results_late_total",
    "Results that came after the job had ended; they change nothing.",
    registry=REGISTRY,
)
LETTERS_KEPT: Final = Counter(
    "orvanta_dead_letters_kept_total", "Dead letters that came.", ["kind"], registry=REGISTRY
)
AUTH_REFUSALS: Final = Counter(
    "orvanta_auth_refusals_total",
    "Requests refused for want of a right, by who asked: the API's callers or the broker.",
    ["door", "reason"],
    registry=REGISTRY,
)
PUBLISH_CONFIRM_S: Final = Histogram(
    "orvanta_broker_publish_confirm_seconds",
    "From a publish to the broker's confirm.",
    buckets=QUICK_S,
    registry=REGISTRY,
)
PUBLISH_FAILURES: Final = Counter(
    "orvanta_broker_publish_failures_total",
    "Publishes that came back unroutable, or whose confirm never came.",
    ["reason"],
    registry=REGISTRY,
)
PULL_S: Final = Histogram(
    "orvanta_pull_seconds",
    "What it takes the relay to get a job from its cluster, or to hear that there is none.",
    buckets=QUICK_S,
    registry=REGISTRY,
)
STORE_WRITE_S: Final = Histogram(
    "orvanta_store_write_seconds",
    "From asking for a write to its commit, the wait for its turn included.",
    buckets=QUICK_S,
    registry=REGISTRY,
)
STORE_WRITES_OPEN: Final = Gauge(
    "orvanta_store_writes_open", "Writes that wait for their commit now.", registry=REGISTRY
)
STORE_FAILURES: Final = Counter(
    "orvanta_store_failures_total", "Reads and writes that the store refused.", ["kind"], registry=REGISTRY
)
FLOW_TURN_S: Final = Histogram(
    "orvanta_flow_turn_seconds",
    "What one turn of a flow takes, its expressions included.",
    buckets=QUICK_S,
    registry=REGISTRY,
)
LOOP_LAG_S: Final = Histogram(
    "orvanta_loop_lag_seconds",
    "How much later than asked for the event loop woke a task, tried each second.",
    buckets=QUICK_S,
    registry=REGISTRY,
)
