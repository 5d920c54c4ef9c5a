"""Every exchange and queue of Orvanta on the broker, as data (DESIGN section 4). Only the bridge declares."""

from dataclasses import dataclass, field
from typing import Any, Final

from agent.wire.claims import Tag, WorkerName
from agent.wire.routing import (
    CANARY,
    CONTROL,
    DEAD,
    EVENTS,
    JOBS,
    LOGS,
    PINGS,
    RESULTS,
    UP,
    control_queue,
    job_binding,
    job_queue,
    up_key,
)

REDELIVERIES_MAX: Final = 1_000_000  # said outright: RabbitMQ 4 would drop a message after 20
LOG_BYTES_MAX: Final = 256 * 1024 * 1024
PING_EXPIRES_MS: Final = 30_000  # three pings of an agent: an older one says nothing that a newer does not
PINGS_MAX: Final = 100_000
CONTROL_EXPIRES_MS: Final = 90 * 86_400_000  # longer than any lost_after

QUORUM: Final = {"x-queue-type": "quorum", "x-delivery-limit": REDELIVERIES_MAX}


@dataclass(frozen=True, slots=True)
class Exchange:
    name: str
    kind: str


@dataclass(frozen=True, slots=True)
class Queue:
    """A durable queue and its bindings: (exchange, routing key)."""

    name: str
    arguments: dict[str, Any]
    bindings: tuple[tuple[str, str], ...] = field(default=())


EXCHANGES: Final = (
    Exchange(JOBS, "topic"),
    Exchange(UP, "topic"),
    Exchange(CONTROL, "direct"),
    Exchange(DEAD, "fanout"),
)

QUEUES: Final = (
    Queue(DEAD, QUORUM, ((DEAD, ""),)),
    Queue(RESULTS, QUORUM | {"x-dead-letter-exchange": DEAD}, ((UP, "result.*"), (UP, "blob.*"))),
    Queue(EVENTS, QUORUM | {"x-dead-letter-exchange": DEAD}, ((UP, "event.*"),)),
    # A queue of their own, because a message expires only at the head: behind an acceptance that waits for a
    # bridge they would pile up, whatever their age (I6).
    Queue(
        PINGS,
        {"x-queue-type": "classic", "x-message-ttl": PING_EXPIRES_MS, "x-max-length": PINGS_MAX},
        ((UP, "ping.*"),),
    ),
    Queue(LOGS, {"x-queue-type": "classic", "x-max-length-bytes": LOG_BYTES_MAX}, ((UP, "log.*"),)),
)


def tag_queue(tag: Tag) -> Queue:
    return Queue(job_queue(tag), QUORUM | {"x-dead-letter-exchange": DEAD}, ((JOBS, job_binding(tag)),))


def agent_queue(worker: WorkerName) -> Queue:
    """What the bridge tells it, and the canaries by which it proves to itself that it consumes."""
    name = control_queue(worker)
    bindings = ((CONTROL, name), (UP, up_key(CANARY, worker)))
    return Queue(name, {"x-queue-type": "classic", "x-expires": CONTROL_EXPIRES_MS}, bindings)
