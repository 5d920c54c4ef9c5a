"""The link over the HTTP agent API: messages become calls, and answers become messages (agent-api.md 2)."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from typing import Final

from agent.errors import LinkDown
from agent.link.enrol import keyring
from agent.link.http.api import Api, client_for
from agent.link.http.bundles import brought
from agent.link.http.dialect import Dialect
from agent.link.http.doubts import Doubts
from agent.link.http.edge import Edge
from agent.link.http.holdings import Holdings
from agent.link.http.origins import Origins
from agent.link.http.plain import Plain
from agent.link.http.pull_keys import PullKeys
from agent.link.http.pulling import Pulling
from agent.link.http.uplink import Uplink
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret
from agent.tls.outbound import Outbound
from agent.trust import SigningKey
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Accepted, Blob, Bye, Delivery, Grant, Log, Message, Rejected, Result, Want
from agent.wire.tokens import bearer_of, with_ticket

TOLD_MAX: Final = 1000  # messages that wait to be obeyed


class HttpDelivery:
    """What an answer brought. The cluster counts it as handed over; `held` is told of the acknowledgement."""

    def __init__(self, body: bytes, held: Callable[[], None] = lambda: None) -> None:
        self.body = body
        self.content_encoding: str | None = None
        self.headers: Mapping[str, object] = {}
        self._held = held

    async def ack(self) -> None:
        self._held()


class HttpLink:
    """Implements `link.Link`. A pull is the grant: the cluster hands a job out to one worker only (I2)."""

    vouches = True
    blocked = ""

    def __init__(
        self, api: Api, dialect: Dialect, holdings: Holdings, device: SigningKey | None = None
    ) -> None:
        self._api = api
        self._dialect = dialect
        self._holdings = holdings
        self._control: asyncio.Queue[HttpDelivery] = asyncio.Queue(TOLD_MAX)
        self._origins = Origins(holdings)
        self._uplink = Uplink(api, dialect, holdings, self._origins, self._tell, device)
        self._pulling = Pulling(api, dialect, device)
        self._first: list[Message] = []

    async def begin(self) -> None:
        self._first = await self._dialect.begin()

    async def blocked_changed(self) -> None:
        await asyncio.Event().wait()  # a cluster that takes nothing is one that is down

    async def publish(self, kind: str, messages: Sequence[Message]) -> None:
        if kind == "result":
            await self._uplink.send_results([one for one in messages if isinstance(one, Result)])
        elif kind == "log":
            await self._uplink.push_logs([one for one in messages if isinstance(one, Log)])
        elif kind == "ping":
            wants = [one for one in messages if isinstance(one, Want)]
            await (self._bring(wants) if wants else self._dialect.still_there())
        elif kind == "blob":
            await self._uplink.send_parts([one for one in messages if isinstance(one, Blob)])
        else:
            for message in messages:
                await self._event(message)

    async def open_tag(self, tag: Tag, prefetch: int) -> None:
        self._pulling.open_tag(tag, prefetch)

    async def close_tag(self, tag: Tag) -> None:
        self._pulling.close_tag(tag)

    async def next_job(self) -> HttpDelivery:
        body, pulled = await self._pulling.next_job()
        return HttpDelivery(body, lambda: self._pulling.held(pulled))

    async def next_control(self) -> HttpDelivery:
        return await self._control.get()

    async def lost(self) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._hear(), name="news of held jobs")
                group.create_task(self._send_again(), name="results without a receipt")
                group.create_task(self._enrol_again(), name="renewal")
        except* LinkDown as errors:
            raise errors.exceptions[0] from None

    async def _hear(self) -> None:
        await self._tell(self._first)
        while True:
            await self._tell(await self._dialect.next_news())

    async def _enrol_again(self) -> None:
        """What is on its way is asked for again by the next life, or comes up again."""
        await self._api.renew.wait()
        raise LinkDown("the bridge asks this agent to enrol again")

    async def _send_again(self) -> None:
        """What left in an earlier life of the link: recorded and not pruned here, or refused then."""
        await self._uplink.send_results(await self._holdings.sent())

    async def _event(self, message: Message) -> None:
        if isinstance(message, Accepted):
            origin = await self._origins.of((message.job_id, message.attempt))
            if origin is not None and origin.delivery is Delivery.AT_MOST_ONCE:
                await self._tell([Grant(job_id=message.job_id, attempt=message.attempt)])
        elif isinstance(message, Rejected) and message.job_id:
            await self._dialect.lost([(JobId(message.job_id), Attempt(message.attempt))])
        elif isinstance(message, Bye):
            await self._dialect.end()

    async def _bring(self, wants: Sequence[Want]) -> None:
        """Beside each other: a long way is no thin one."""
        try:
            async with asyncio.TaskGroup() as group:
                for want in wants:
                    group.create_task(self._bring_one(want), name="bundle")
        except* LinkDown as errors:
            raise errors.exceptions[0] from None

    async def _bring_one(self, want: Want) -> None:
        await self._tell([await brought(self._api, want)])

    async def _tell(self, messages: Sequence[Message]) -> None:
        for message in messages:
            await self._control.put(HttpDelivery(pack([message])))


class Links:
    """Makes links over HTTP, and keeps what must outlive one of them."""

    def __init__(
        self,
        base_url: str,
        token: Callable[[], Secret],
        suffix: str,
        hostname: str,
        holdings: Holdings,
        outbound: Outbound,
        device: SigningKey | None = None,
        languages: Sequence[str] = (),
    ) -> None:
        """`token`: the newest one, which may be another in the next life. `languages`: see `Edge`."""
        self._base_url = base_url
        self._outbound = outbound
        self._token = token
        self._device = device
        self._suffix = suffix
        self._hostname = hostname
        self._holdings = holdings
        self._languages = languages
        self._keys = PullKeys()
        self._doubts = Doubts(holdings)

    @asynccontextmanager
    async def connect(self, enrolment: Enrolment) -> AsyncIterator[HttpLink]:
        """A link for as long as the block lasts. Raises `LinkDown`."""
        bearer = with_ticket(bearer_of(self._token().reveal(), self._suffix), enrolment.ticket)
        async with client_for(self._base_url, bearer, self._outbound) as client:
            api = Api(client, self._outbound)
            link = HttpLink(api, self._dialect(enrolment, api), self._holdings, self._device)
            await link.begin()
            yield link

    def _dialect(self, enrolment: Enrolment, api: Api) -> Dialect:
        tags = frozenset(map(Tag, enrolment.tags))
        if enrolment.link is LinkKind.PLAIN:
            return Plain(api, self._holdings, self._doubts, hostname=self._hostname, tags=tags)
        return Edge(
            api,
            self._holdings,
            self._keys,
            worker=enrolment.worker,
            hostname=self._hostname,
            tags=tags,
            bridge_keys=keyring(enrolment) if enrolment.keys else None,
            languages=self._languages,
        )
