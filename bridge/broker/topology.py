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
CLASSIC: Final = {"x-queue-type": "classic"}


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


@dataclass(frozen=True, slots=True)
class Topology:
    """The queues, for a broker of so many nodes.

    On several, what custody rests on is replicated. A replicated queue on a single node gains nothing, and
    one that was young when its node was killed may never find its leader again (seen on RabbitMQ 3.10 and
    4.0): whoever publishes to it then waits for ever.
    """

    nodes: int = 1

    def fixed(self) -> tuple[Queue, ...]:
        safe = self._safe()
        return (
            Queue(DEAD, safe, ((DEAD, ""),)),
            Queue(RESULTS, safe | {"x-dead-letter-exchange": DEAD}, ((UP, "result.*"), (UP, "blob.*"))),
            Queue(EVENTS, safe | {"x-dead-letter-exchange": DEAD}, ((UP, "event.*"),)),
            # A queue of their own, because a message expires only at the head: behind an acceptance that
            # waits for a bridge they would pile up, whatever their age (I6).
            Queue(
                PINGS,
                CLASSIC | {"x-message-ttl": PING_EXPIRES_MS, "x-max-length": PINGS_MAX},
                ((UP, "ping.*"),),
            ),
            Queue(LOGS, CLASSIC | {"x-max-length-bytes": LOG_BYTES_MAX}, ((UP, "log.*"),)),
        )

    def tag(self, tag: Tag) -> Queue:
        bindings = ((JOBS, job_binding(tag)),)
        return Queue(job_queue(tag), self._safe() | {"x-dead-letter-exchange": DEAD}, bindings)

    def agent(self, worker: WorkerName) -> Queue:
        """What the bridge tells it, and the canaries by which it proves to itself that it consumes."""
        name = control_queue(worker)
        bindings = ((CONTROL, name), (UP, up_key(CANARY, worker)))
        return Queue(name, CLASSIC | {"x-expires": CONTROL_EXPIRES_MS}, bindings)

    def _safe(self) -> dict[str, Any]:
        return QUORUM if self.nodes > 1 else CLASSIC
