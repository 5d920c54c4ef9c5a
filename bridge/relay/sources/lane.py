"""A lane: one token of the bridge's own at the cluster, and the pulls that were begun with it."""

import asyncio
import json
import math
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote
from uuid import uuid4

from agent.logs import Secret
from agent.wire.claims import Tag
from agent.wire.errors import Unresolved
from agent.wire.repeatable import REQUEST_ID
from agent.wire.tokens import bearer_of, said_by
from bridge.errors import ClusterDown, Declined, TokenRefused
from bridge.relay.ledger import Custody
from bridge.relay.sources.retry import soon_again
from bridge.upstream import Answer, Upstream

PULL: Final = "/api/agent_workers/pull_job"
KEPT_S: Final = 30.0  # a job that nobody pings is another worker's after 60 s


@dataclass(eq=False, slots=True)
class Pull:
    """One pull_job and its answer, until the job in it has been handed over.

    The same key goes with it however often it is sent: a cluster of ours gives the same job again.
    """

    begun_s: float  # monotonic
    key: str = field(default_factory=lambda: uuid4().hex)
    asking: asyncio.Task[Answer] | None = None


class Lane:
    def __init__(self, upstream: Upstream, token: Secret, suffix: str) -> None:
        # Unverified: it is our own token, and the cluster checks it on every call.
        claims = said_by(token.reveal())
        self.tags = frozenset(Tag(tag) for tag in claims["tags"])
        self.group: Final[str] = claims["worker_group"]
        self.rests_until_s = -math.inf  # monotonic
        self._bearer = bearer_of(token.reveal(), suffix)
        self._upstream = upstream
        self._begun: list[Pull] = []

    def close(self) -> None:
        for pull in self._begun:
            if pull.asking is not None:
                pull.asking.cancel()

    async def get(self, path: str) -> Answer:
        """Tried again soon. Raises `ClusterDown`."""

        async def once() -> Answer:
            return await self._named(self._upstream.get(path, self._bearer))

        return await soon_again()(once)

    async def named_value(self, path: str, token: str) -> Any:
        """A variable's or a resource's value, as the job with this token may see it. Tried again soon.

        Raises `Unresolved`, and `ClusterDown` while the cluster does not say.
        """

        async def once() -> Answer:
            return await self._upstream.get(path, token)

        try:
            return (await soon_again()(once)).value
        except TokenRefused:  # the job's: the lane's own is as good as it was
            raise Unresolved(f"{path} may not be read by this job") from None
        except Declined as error:
            raise Unresolved(str(error)) from error

    async def set_progress(self, custody: Custody, percent: int) -> None:
        """With the job's own token: agents have no call for it (agent-api.md 8.5). Raises `ClusterDown`."""
        path = f"/api/w/{word(custody.workspace)}/job_metrics/set_progress/{word(custody.job_id)}"
        body = json.dumps({"percent": percent, "flow_job_id": None}).encode()
        await self._upstream.post(path, custody.token, body)

    async def post(
        self,
        path: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body` is JSON. Sent once. Raises `ClusterDown`."""
        return await self._named(self._upstream.post(path, self._bearer, body, headers=headers, query=query))

    def next_pull(self, now_s: float) -> Pull:
        """One that was begun and whose job nobody has, else a new one."""
        while self._begun:
            pull = self._begun.pop(0)
            if pull.asking is None:
                return Pull(now_s, pull.key)
            if not pull.asking.done() or now_s - pull.begun_s < KEPT_S:
                return pull
        return Pull(now_s)

    def keep(self, pull: Pull) -> None:
        """What it took, or may have taken, is the next pull's."""
        self._begun.append(pull)

    async def answer_to(self, pull: Pull) -> Answer:
        """Asks, unless it has been asked already. A caller that is cancelled takes no answer with it."""
        if pull.asking is None:
            call = self.post(PULL, b"null", headers={REQUEST_ID: pull.key})
            pull.asking = asyncio.create_task(call, name="pull_job")
        try:
            return await asyncio.shield(pull.asking)
        except ClusterDown:
            pull.asking = None
            raise

    async def _named(self, call: Awaitable[Answer]) -> Answer:
        try:
            return await call
        except TokenRefused as error:
            raise TokenRefused(
                f"the cluster refused the bridge's token of group {self.group} in AGENT_TOKEN; "
                f"mint a new one and restart the bridge ({error})"
            ) from error


def in_workspace(workspace: str, *words: str) -> str:
    """The path of an agent's call that belongs to a workspace."""
    return "/".join((f"/api/w/{word(workspace)}/agent_workers", *map(word, words)))


def word(text: str) -> str:
    """One word of a path, whatever it is made of."""
    return quote(text, safe="")
