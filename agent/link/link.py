"""What the agent needs of a link, whatever it is made of."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from agent.wire.claims import Tag
from agent.wire.messages import Message


class LinkKind(StrEnum):
    AMQP = "amqp"
    HTTP = "http"  # to a bridge of ours
    PLAIN = "plain"  # over HTTP, to a cluster that knows stock workers only


class Delivery(Protocol):
    """Something that came down. It stays the sender's until `ack`."""

    body: bytes
    content_encoding: str | None
    headers: Mapping[str, object]

    async def ack(self) -> None:
        """Only after the spool's commit (I3). Raises `LinkDown`."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolment:
    """What the bridge told this agent about its link; cached in the spool for a boot without one."""

    worker: str
    worker_group: str
    tags: tuple[str, ...]
    shared_tags: tuple[str, ...]  # tags that other agents serve too
    link: LinkKind = LinkKind.AMQP
    amqp_url: str = ""
    keys: Mapping[str, str] = field(default_factory=dict)  # key id → 32 raw bytes, base64
    base_url: str = ""  # of the API that jobs call; empty: where the agent enrolled
    introductions: tuple[str, ...] = ()  # of newer keys by older ones (`wire.proofs.Introduction`)
    signs_control: bool = False  # the bridge signs what it tells over RabbitMQ too; an older one does not
    ticket: str = field(default="", repr=False)  # what goes with the token of a device that proved itself
    bundles: bool = False  # the bridge sends what jobs import; an older one does not
    wall_s: float | None = field(default=None, compare=False)  # the bridge's clock when it answered
    routes_languages: bool = False  # a job that cannot be run here may go back: another agent gets it
    token: str = field(default="", repr=False)  # to be used from now on instead of the one that was sent


class Link(Protocol):
    @property
    def vouches(self) -> bool:
        """Whether its jobs come from the cluster itself, by TLS and the token, and so carry no signature."""
        ...

    @property
    def blocked(self) -> str:
        """Why the broker takes nothing from us now; empty while it does."""
        ...

    async def blocked_changed(self) -> None:
        """Return when `blocked` has changed."""
        ...

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        """Hand these up as one envelope. On return the broker has confirmed it. Raises `LinkDown`.

        Waits for as long as the broker is blocked; what came down can be acknowledged meanwhile.
        """
        ...

    async def open_tag(self, tag: Tag, prefetch: int) -> None:
        """Begin to consume a tag. Idempotent."""
        ...

    async def close_tag(self, tag: Tag) -> None:
        """Stop consuming a tag; what is already on its way may still come. Idempotent."""
        ...

    async def next_job(self) -> Delivery: ...

    async def next_control(self) -> Delivery: ...

    async def lost(self) -> None:
        """Return never; raise `LinkDown` when the link is gone."""
        ...
