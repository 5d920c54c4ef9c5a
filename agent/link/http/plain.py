"""The agent API as any Orvanta speaks it: polls, a ping for each job, and no way to send a thing twice."""

import asyncio
from collections.abc import Collection, Sequence
from contextlib import suppress
from typing import Any, Final

import structlog

from agent.errors import AnswerLost, LinkDown, Unwanted
from agent.link.http.api import Api
from agent.link.http.dialect import Pulled
from agent.link.http.doubts import Doubts
from agent.link.http.holdings import Holdings, Key
from agent.wire.agent_api import worker_ping
from agent.wire.arguments import Resolved, resolved
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Cancel, Grant, Message, Revoke

log = structlog.get_logger()

POLL_S: Final = 1.0  # as a stock agent (agent-api.md 2.2)
PING_S: Final = 5.0  # the cluster gives a job to another after 60 s; a cancel is heard of with these


class Plain:
    """Implements `dialect.Dialect`; one life of the link."""

    takes_parts = False

    def __init__(
        self, api: Api, holdings: Holdings, doubts: Doubts, *, hostname: str, tags: frozenset[Tag]
    ) -> None:
        self._api = api
        self._holdings = holdings
        self._doubts = doubts
        self._hostname = hostname
        self._tags = tags
        self._canceled: set[Key] = set()  # the agent has been told
        self._gone: set[Key] = set()  # over at the cluster
        self._pulled_none = False

    async def begin(self) -> list[Message]:
        await self._api.update_ping(worker_ping("Initial", self._hostname, sorted(self._tags)))
        return [Grant(job_id=key[0], attempt=key[1]) for key in await self._holdings.ungranted()]

    async def end(self) -> None:
        """There is no word for it."""

    async def still_there(self) -> None:
        await self._api.update_ping(worker_ping("MainLoop", self._hostname, sorted(self._tags)))

    async def pull(self, tags: Collection[Tag], changed: asyncio.Event, *, waits: bool) -> Pulled | None:
        """Never sent again by itself: a pull whose answer was lost may have got a job (agent-api.md 5.2).

        The cluster chooses among all tags of the token, so nothing is pulled while one of them is closed.
        """
        if waits and (self._pulled_none or frozenset(tags) != self._tags):
            with suppress(TimeoutError):
                async with asyncio.timeout(POLL_S):
                    await changed.wait()
        self._pulled_none = True
        if frozenset(tags) != self._tags or changed.is_set():
            return None
        reply = await self._api.pull()
        self._pulled_none = reply is None
        return None if reply is None else Pulled(reply)

    async def attempt_of(self, pulled: dict[str, Any]) -> int | None:
        """The cluster does not count, so we do. What goes on here was given to us once more (5.3)."""
        job_id = JobId(str(pulled["job"]["id"]))
        last, is_here = await self._holdings.last_attempt(job_id)
        if is_here and (job_id, last) not in self._gone:
            log.info("job.held_already", job_id=job_id, attempt=last)
            return None
        return last + 1

    async def arguments_of(self, pulled: dict[str, Any]) -> Resolved:
        async def look_up(path: str) -> Any:
            return await self._api.named_value(path, str(pulled["token"]))

        return await resolved(pulled, look_up)

    def took(self, pulled: Pulled) -> None:
        """Nothing would be asked for again."""

    async def next_news(self) -> list[Message]:
        version = self._holdings.version
        held = await self._holdings.keys()
        self._gone.intersection_update(held)
        self._canceled.intersection_update(held)
        mine = [key for key in held if key not in self._gone]
        if not mine:
            await self._holdings.newer_than(version)
            return []
        news = [message for key in mine if (message := await self._news_of(key)) is not None]
        if not news:
            await asyncio.sleep(PING_S)
        return news

    async def is_mine(self, key: Key) -> bool:
        try:
            return not (await self._api.ping_job(key[0])).get("already_completed")
        except Unwanted:
            return True  # it does not say

    async def push_log(self, workspace: str, key: Key, start: int, text: str) -> None:
        """I5: a chunk whose answer was lost is not sent again; a mark stands in its place."""
        text = await self._doubts.without(key, start, text)
        if not text:
            return
        before = await self._doubts.ask(key, start, start + len(text))
        storable = text.replace("\0", "").encode(errors="replace").decode()  # what a text column can hold
        try:
            await self._api.push_log(workspace, key[0], storable, {})
        except AnswerLost:
            raise
        except (LinkDown, Unwanted):
            await self._doubts.withdraw(key, before)
            raise
        self._doubts.settle(key)

    async def lost(self, keys: Sequence[Key]) -> None:
        """No longer pinged, they are given to another worker, or ended (agent-api.md 5.3)."""

    async def _news_of(self, key: Key) -> Message | None:
        job_id, attempt = key
        try:
            reply = await self._api.ping_job(job_id)
        except Unwanted as error:
            log.warning("job.ping_refused", job_id=job_id, reason=str(error))
            return None
        if reply.get("already_completed"):
            self._gone.add(key)
            return Revoke(job_id=job_id, attempt=Attempt(attempt), over=True)
        if reply.get("canceled_by") and key not in self._canceled:
            self._canceled.add(key)
            reason = reply.get("canceled_reason") or ""
            return Cancel(job_id=job_id, attempt=Attempt(attempt), by=reply["canceled_by"], reason=reason)
        return None
