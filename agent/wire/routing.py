"""Names on the broker: pure functions from workspaces, tags and worker names (DESIGN section 4)."""

from functools import lru_cache
from typing import Final
from urllib.parse import quote

from agent.wire.claims import Tag, WorkerName
from agent.wire.errors import NameTooLong

JOBS: Final = "orvanta.jobs"
UP: Final = "orvanta.up"
CONTROL: Final = "orvanta.control"
DEAD: Final = "orvanta.dead"
RESULTS: Final = "orvanta.results"
EVENTS: Final = "orvanta.events"
PINGS: Final = "orvanta.pings"
LOGS: Final = "orvanta.logs"
CANARY: Final = "canary"  # a kind of message that an agent sends to itself, through the broker

UP_KINDS: Final = ("event", "result", "blob", "log", "ping", CANARY)  # what an agent writes

NAME_MAX_BYTES: Final = 255  # AMQP 0-9-1 short string

# `quote` never escapes these two, and a dot would split a word while a tilde is outside our alphabet.
_UNQUOTED: Final = str.maketrans({".": "%2E", "~": "%7E"})


@lru_cache(1024)  # the same few names with every message
def word(text: str) -> str:
    """`text` as one word of a routing key: percent-encoded outside `[A-Za-z0-9_-]`, UTF-8."""
    return quote(text, safe="").translate(_UNQUOTED)


def _bounded(name: str) -> str:
    if len(name) > NAME_MAX_BYTES:  # ASCII by construction, so characters are bytes
        raise NameTooLong(
            f"{name[:60]}… has {len(name)} bytes and AMQP allows {NAME_MAX_BYTES}; shorten the tag."
        )
    return name


def job_key(workspace: str, tag: Tag) -> str:
    return _bounded(f"{word(workspace)}.{word(tag)}")


def job_binding(tag: Tag) -> str:
    return _bounded(f"*.{word(tag)}")


def job_queue(tag: Tag) -> str:
    return _bounded(f"{JOBS}.{word(tag)}")


def up_key(kind: str, worker: WorkerName) -> str:
    """The one key an agent writes for a kind of message: constant, so the broker caches its permission."""
    return _bounded(f"{kind}.{word(worker)}")


def control_queue(worker: WorkerName) -> str:
    return _bounded(f"orvanta.agent.{word(worker)}")
