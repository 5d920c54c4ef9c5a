"""What an agent may do on the broker: one rule, as a decision and as static permissions. Pure (DESIGN 5)."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from agent.wire.claims import Tag, WorkerName
from agent.wire.routing import UP, UP_KINDS, control_queue, job_queue, up_key

NOTHING: Final = "^$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What RabbitMQ asks for a user of ours (rabbitmq_auth_backend_http: resource and topic)."""

    resource: str  # queue, exchange, topic
    name: str
    permission: str  # configure, write, read
    routing_key: str = ""  # of a topic


def readable(worker: WorkerName, tags: Iterable[Tag]) -> list[str]:
    """The queues of its tags and its own control queue."""
    return [control_queue(worker), *(job_queue(tag) for tag in sorted(tags))]


def writable(worker: WorkerName) -> list[str]:
    """The routing keys of the exchange UP that are its own."""
    return [up_key(kind, worker) for kind in UP_KINDS]


def may(worker: WorkerName, tags: Iterable[Tag], asked: Asked) -> bool:
    """I4: nothing that is not named here. There is no right to configure anything."""
    match (asked.resource, asked.permission):
        case ("queue", "read"):
            return asked.name in readable(worker, tags)
        case ("exchange", "write"):
            return asked.name == UP
        case ("topic", "write"):
            return asked.name == UP and asked.routing_key in writable(worker)
    return False


def as_patterns(worker: WorkerName, tags: Iterable[Tag]) -> dict[str, str]:
    """The same rule as RabbitMQ's regular expressions; `topic` is for writing to the exchange UP."""
    return {
        "configure": NOTHING,
        "read": _one_of(readable(worker, tags)),
        "write": _one_of([UP]),
        "topic": _one_of(writable(worker)),
    }


def _one_of(names: Iterable[str]) -> str:
    return f"^({'|'.join(map(re.escape, names))})$"
