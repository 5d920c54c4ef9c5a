"""The two ways to speak the agent API: to a bridge of ours, which knows what a held job is, or to any."""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from agent.link.http.holdings import Key
from agent.wire.arguments import Resolved
from agent.wire.claims import Tag
from agent.wire.messages import Message


@dataclass(frozen=True, slots=True)
class Pulled:
    """What a pull brought: a JobAndPerms (agent-api.md 3.1), and the name of the pull."""

    reply: dict[str, Any]
    key: str = ""


class Dialect(Protocol):
    takes_parts: bool  # whether a large result may go in parts

    async def begin(self) -> list[Message]:
        """Say that this worker is there; what the cluster has to say of the jobs that are held."""
        ...

    async def end(self) -> None:
        """The worker leaves on purpose and takes nothing more."""
        ...

    async def still_there(self) -> None:
        """Called every few seconds."""
        ...

    async def pull(self, tags: Collection[Tag], changed: asyncio.Event, *, waits: bool) -> Pulled | None:
        """A job of these tags. None when there is none; with `waits` after a while, or soon when `changed`
        is set meanwhile.
        """
        ...

    async def attempt_of(self, pulled: dict[str, Any]) -> int | None:
        """The number of this hand-out; None when the job is here already, and this changes nothing."""
        ...

    async def arguments_of(self, pulled: dict[str, Any]) -> Resolved:
        """With all that they name. Raises `Unresolved` for what is missing."""
        ...

    def took(self, pulled: Pulled) -> None:
        """It is on this disk, or has been ended, and will not be asked for again."""
        ...

    async def next_news(self) -> list[Message]:
        """Ask after the held jobs, when it is time to; what the cluster says of them."""
        ...

    async def is_mine(self, key: Key) -> bool:
        """Whether the cluster still waits for what this worker has to say of the job."""
        ...

    async def push_log(self, workspace: str, key: Key, start: int, text: str) -> None:
        """Text of the job; `start` counts the characters before it. Taken once at most (I5)."""
        ...

    async def lost(self, keys: Sequence[Key]) -> None:
        """These cannot be run here (any more)."""
        ...
