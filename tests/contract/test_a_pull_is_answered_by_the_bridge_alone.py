"""I4 over HTTP: whoever opens TLS between site and bridge hands out no job, and repeats none."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from agent.clock import SystemClock
from agent.errors import LinkDown
from agent.jobs.book import Book
from agent.jobs.holdings import SpoolHoldings
from agent.link.http.api import Api
from agent.link.http.edge import Edge
from agent.link.http.pull_keys import PullKeys
from agent.spool.spool import Spool
from agent.tls.outbound import SYSTEM
from agent.trust import Keyring, SigningKey
from agent.wire import proofs
from agent.wire.claims import Tag
from bridge.relay.ledger import Ledger
from bridge.relay.signer import rotate
from tests.support.cluster import BASE_URL, Running

WORKER = "ag-pos-till-a1b2c"

Change = Callable[[httpx.Response], httpx.Response]


class Between:
    """Passes requests on, and changes what comes back."""

    def __init__(self, behind: httpx.AsyncClient) -> None:
        self._behind = behind
        self.change: Change = lambda answer: answer

    async def passed_on(self, request: httpx.Request) -> httpx.Response:
        answer = await self._behind.request(
            request.method, request.url, headers=forwarded(request), content=request.content
        )
        return self.change(httpx.Response(answer.status_code, headers=answer.headers, content=answer.content))


def forwarded(request: httpx.Request) -> dict[str, str]:
    """As they came; who asks stays as `behind` says it."""
    return {name: value for name, value in request.headers.items() if name != "authorization"}


def with_text(answer: httpx.Response, text: bytes) -> httpx.Response:
    headers = {name: value for name, value in answer.headers.items() if name != "content-length"}
    return httpx.Response(answer.status_code, headers=headers, content=text)


def unsigned(answer: httpx.Response) -> httpx.Response:
    del answer.headers[proofs.SIGNATURE]
    return answer


def signed_by_a_stranger(answer: httpx.Response) -> httpx.Response:
    stranger = SigningKey.made()
    answer.headers[proofs.SIGNATURE] = proofs.signature_text(*stranger.sign(answer.content))
    answer.headers[proofs.INTRODUCED] = stranger.introduce(stranger).text()
    return answer


CHANGES: dict[str, Change] = {
    "other code": lambda answer: with_text(answer, answer.content.replace(b"echo hi", b"echo no")),
    "no signature": unsigned,
    "a stranger's": signed_by_a_stranger,
}


async def test_it_is_signed_and_for_this_pull(cluster: Running, tmp_path: Path) -> None:
    between = Between(await cluster.agent("bash"))
    client = httpx.AsyncClient(transport=httpx.MockTransport(between.passed_on), base_url=BASE_URL)
    spool = await Spool.open(tmp_path / "spool", SystemClock())
    ring, keys = Keyring(cluster.signer.public_keys()), PullKeys()

    async def pulled() -> Any:
        holdings = SpoolHoldings(spool, Book(spool, SystemClock()))
        edge = Edge(
            Api(client, SYSTEM),
            holdings,
            keys,
            worker=WORKER,
            hostname="till",
            tags=frozenset({Tag("bash")}),
            bridge_keys=ring,
        )
        pulled = await edge.pull(frozenset({Tag("bash")}), asyncio.Event(), waits=True)
        assert pulled is not None
        edge.took(pulled)
        return pulled.reply

    job_id = await cluster.preview()
    for change in CHANGES.values():
        between.change = change
        with pytest.raises(LinkDown, match="not signed by the bridge"):
            await pulled()
    seen: list[httpx.Response] = []
    between.change = lambda answer: seen.append(answer) or answer
    assert (await pulled())["job"]["id"] == job_id  # the same pull brings it, once nobody is between
    between.change = lambda _: seen[0]
    await cluster.preview()
    with pytest.raises(LinkDown, match="not signed by the bridge"):  # an answer to an earlier pull
        await pulled()
    between.change = lambda answer: answer
    ledger = Ledger(cluster.store, cluster.clock)
    await rotate(ledger)
    await cluster.signer.refresh(ledger)
    await cluster.preview()
    assert (await pulled())["raw_code"] == "echo hi"  # by a key that the known one introduces
    await spool.close()
