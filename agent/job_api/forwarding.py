"""Whatever a job asks that its agent cannot answer goes on to the cluster, as it came."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import httpx

from agent.errors import LinkDown
from agent.job_api.http import Reply, Request
from agent.tls.http import client, why_http
from agent.tls.outbound import BadTls, Outbound

CONNECT_S: Final = 3.0  # a job that asks while the link is down must not wait long
SILENT_S: Final = 15.0  # for so long nobody tries again a cluster that could not be reached
HOP_BY_HOP: Final = frozenset(
    {"connection", "host", "keep-alive", "content-length", "transfer-encoding", "upgrade", "te", "trailer",
     "proxy-authorization", "proxy-connection", "expect"}
)  # fmt: skip


class Forwarding:
    def __init__(self, cluster: Callable[[], str], outbound: Outbound) -> None:
        """`cluster`: its address, without a trailing slash."""
        self._cluster = cluster
        self._outbound = outbound
        self._client: httpx.AsyncClient | None = None
        self._silent_until_s = float("-inf")
        self._why = ""

    async def pass_on(self, request: Request) -> Reply:
        """The cluster's own answer. Raises `LinkDown`, at once while it was out of reach a moment ago."""
        now_s = asyncio.get_running_loop().time()
        if now_s < self._silent_until_s:
            raise LinkDown(self._why)
        url = self._cluster() + request.target
        headers = {name: text for name, text in request.headers.items() if name not in HOP_BY_HOP}
        try:
            asked = self._http().build_request(request.method, url, headers=headers, content=request.body)
            answer = await self._http().send(asked, stream=True)
        except (httpx.HTTPError, BadTls) as error:
            self._why = await why_http(error, url, self._outbound)
            if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | BadTls):
                self._silent_until_s = now_s + SILENT_S
            raise LinkDown(self._why) from error
        kept = {name: text for name, text in answer.headers.items() if name not in HOP_BY_HOP}
        kind = kept.pop("content-type", "application/octet-stream")
        return Reply(answer.status_code, _body_of(answer), kind, kept)

    async def close(self) -> None:
        if self._client is not None:
            await self._client.aclose()

    def _http(self) -> httpx.AsyncClient:
        """Made when the first job asks something: most never do."""
        if self._client is None:
            patience = httpx.Timeout(None, connect=CONNECT_S)  # a call may wait for another job's end
            self._client = client(self._outbound, timeout=patience, follow_redirects=False)
        return self._client


async def _body_of(answer: httpx.Response) -> AsyncIterator[bytes]:
    """As it comes, still compressed where it is."""
    try:
        async for piece in answer.aiter_raw():
            yield piece
    finally:
        await answer.aclose()
