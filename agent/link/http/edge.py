"""The agent API as a bridge of ours speaks it: pulls that wait and repeat, and one question for all jobs."""

import asyncio
from collections.abc import Collection, Iterable, Sequence
from functools import partial
from typing import Any, Final
from urllib.parse import quote

import httpx

from agent.errors import LinkDown
from agent.link.http.api import Api
from agent.link.http.dialect import Pulled
from agent.link.http.holdings import Holdings, Key
from agent.link.http.pull_keys import PullKeys
from agent.trust import Keyring
from agent.wire import proofs
from agent.wire.agent_api import worker_ping
from agent.wire.arguments import Resolved
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.errors import Malformed
from agent.wire.messages import Cancel, Grant, Message, Revoke

PULL_S: Final = 30.0  # a pull waits so long: two requests a minute while there is nothing to do
HELD_S: Final = 10.0  # and so long the question after the held jobs, which keeps them alive too
NOTHING: Final = b"null"
HASTE_S: Final = 1.0  # between two questions when there was nothing to say: it was of a job not asked after


class Edge:
    """Implements `dialect.Dialect`; one life of the link."""

    takes_parts = True

    def __init__(
        self,
        api: Api,
        holdings: Holdings,
        keys: PullKeys,
        *,
        worker: str,
        hostname: str,
        tags: frozenset[Tag],
        bridge_keys: Keyring | None = None,
        languages: Sequence[str] = (),
    ) -> None:
        """`bridge_keys`: without them, at an older bridge, what it hands out carries no signature.

        `languages`: that can be run here, so that no job of another is handed out; none: whatever comes.
        """
        self._api = api
        self._bridge_keys = bridge_keys
        self._holdings = holdings
        self._keys = keys
        self._worker = worker
        self._hostname = hostname
        self._tags = tags
        self._languages = _listed(languages) or None
        self._canceled: set[Key] = set()  # the agent has been told
        self._gone: set[Key] = set()  # not this worker's any more

    async def begin(self) -> list[Message]:
        self._keys.ask_again()
        await self._api.update_ping(worker_ping("Initial", self._hostname, sorted(self._tags)))
        news = await self._ask(await self._mine(), is_all=True)
        grants = [key for key in await self._holdings.ungranted() if key not in self._gone]
        return [*news, *(Grant(job_id=key[0], attempt=key[1]) for key in grants)]

    async def end(self) -> None:
        await self._ask(await self._mine(), is_all=True)

    async def still_there(self) -> None:
        """What it pulls and asks says so."""

    async def pull(self, tags: Collection[Tag], changed: asyncio.Event, *, waits: bool) -> Pulled | None:
        """Leaving one that waits costs nothing: what it may have got is got again by its key."""
        is_first = not self._keys.any_unanswered
        key = self._keys.next()
        wait_s = PULL_S if waits and not self._keys.any_unanswered else 0.0
        wanted = None if frozenset(tags) == self._tags else _listed(tags)
        check = partial(self._require_signed, key)
        pulling = asyncio.ensure_future(
            self._api.pull(
                key=key,
                is_first=is_first,
                tags=wanted,
                languages=self._languages,
                wait_s=wait_s,
                check=check,
            )
        )
        changing = asyncio.ensure_future(changed.wait())
        try:
            await asyncio.wait((pulling, changing), return_when=asyncio.FIRST_COMPLETED)
            if not pulling.done():
                self._keys.unanswered(key)
                return None
            reply = pulling.result()
        except BaseException:
            self._keys.unanswered(key)
            raise
        finally:
            pulling.cancel()
            changing.cancel()
        if reply is None:
            self._keys.use_up(key)
            return None
        return Pulled(reply, key)

    def _require_signed(self, key: str, answer: httpx.Response) -> None:
        """I4: TLS ends at whoever stands in the middle with a certificate that this machine trusts.

        Raises `LinkDown`: the job stays the bridge's, and the same pull asks for it again.
        """
        if self._bridge_keys is None or answer.content == NOTHING:
            return
        self._bridge_keys.learn(answer.headers.get(proofs.INTRODUCED, "").split())
        statement = proofs.pulled(WorkerName(self._worker), key, answer.content)
        try:
            signature = proofs.read_signature(answer.headers.get(proofs.SIGNATURE, ""))
        except Malformed:
            signature = ("", b"")
        if not self._bridge_keys.verify(*signature, statement):
            raise LinkDown(
                "BadSignature: the answer to a pull is not signed by the bridge that this agent knows; "
                "the job in it is not taken. Is there a proxy that opens TLS?"
            )

    async def attempt_of(self, pulled: dict[str, Any]) -> int | None:
        return int(pulled["job"].get("attempt") or 1)

    async def arguments_of(self, pulled: dict[str, Any]) -> Resolved:
        """The bridge has put in what they name; a value of theirs that looks like a name is none."""
        return Resolved(pulled["job"].get("args") or {}, pulled.get("hidden") or ())

    def took(self, pulled: Pulled) -> None:
        self._keys.use_up(pulled.key)

    async def next_news(self) -> list[Message]:
        loop = asyncio.get_running_loop()
        version = self._holdings.version
        mine = await self._mine()
        if not mine:
            await self._holdings.newer_than(version)
            return []
        began_s = loop.time()
        news = await self._ask(mine, wait_s=HELD_S)
        if not news and loop.time() - began_s < HASTE_S:
            await asyncio.sleep(HASTE_S)
        return news

    async def is_mine(self, key: Key) -> bool:
        reply = await self._api.held_jobs({"jobs": [_named(key)]})
        return not reply["elsewhere"] and not reply["over"]

    async def push_log(self, workspace: str, key: Key, start: int, text: str) -> None:
        place = {"offset": start, "writer": f"{self._worker}/{key[1]}"}
        await self._api.push_log(workspace, key[0], text, place)

    async def lost(self, keys: Sequence[Key]) -> None:
        await self._api.held_jobs({"jobs": [], "lost": [_named(key) for key in keys]})

    async def _mine(self) -> list[Key]:
        held = await self._holdings.keys()
        self._gone.intersection_update(held)
        self._canceled.intersection_update(held)
        return [key for key in held if key not in self._gone]

    async def _ask(self, mine: Sequence[Key], *, is_all: bool = False, wait_s: float = 0.0) -> list[Message]:
        jobs = [_named(key) | {"canceled": key in self._canceled} for key in mine]
        body = {"jobs": jobs, "all": is_all, "asking": self._keys.names()}
        reply = await self._api.held_jobs(body, wait_s)
        news: list[Message] = []
        for one in reply["canceled"]:
            self._canceled.add(_key(one))
            news.append(Cancel(job_id=one["id"], attempt=one["attempt"], by=one["by"], reason=one["reason"]))
        for name in ("elsewhere", "over"):
            self._gone.update(map(_key, reply[name]))
            news += [
                Revoke(job_id=one["id"], attempt=one["attempt"], over=name == "over") for one in reply[name]
            ]
        return news


def _listed(words: Iterable[str]) -> str:
    return ",".join(quote(word, safe="") for word in sorted(words))


def _named(key: Key) -> dict[str, Any]:
    return {"id": key[0], "attempt": key[1]}


def _key(named: dict[str, Any]) -> Key:
    return JobId(named["id"]), Attempt(named["attempt"])
