"""Each TLS failure that people meet is told in one line, with its mend: over HTTP, against real servers."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.clock import SystemClock
from agent.errors import LinkDown
from agent.link.enrol import enrol
from agent.link.http.api import Api, client_for
from agent.link.link import Enrolment
from agent.logs import Secret
from agent.tls.outbound import SYSTEM, Outbound
from bridge.errors import ClusterDown
from bridge.upstream import Upstream
from bridge.web.asgi import build
from dev_tools.certificates import ThrowAwayCA
from tests.support.cluster import served
from tests.support.tunnel import tunnels

DAY = timedelta(days=1)
ENROLMENT = {"worker": "ag-pos-a", "worker_group": "pos", "tags": [], "shared_tags": [], "link": "http",
             "amqp_url": "", "keys": {}}  # fmt: skip


async def answer(_request: Request) -> Response:
    return JSONResponse(ENROLMENT)


APP = build([
    Route("/api/agent_workers/enroll", answer, methods=["POST"]),
    Route("/api/agent_workers/get_min_version", answer),
])  # fmt: skip


@pytest.fixture
def ca(tmp_path: Path) -> ThrowAwayCA:
    return ThrowAwayCA(tmp_path, "our CA")


@asynccontextmanager
async def secured(ca: ThrowAwayCA, *names: str, **more: Any) -> AsyncIterator[str]:
    """A server over HTTPS. `more`: dates of its certificate, or uvicorn's options."""
    dates = {name: more.pop(name) for name in ("begins", "ends") if name in more}
    pair = ca.issue("server", names or ("127.0.0.1",), **dates)
    async with served(APP, ssl_certfile=pair.cert, ssl_keyfile=pair.key, **more) as url:
        yield url


async def enrolled(url: str, outbound: Outbound) -> Enrolment:
    return await enrol(url, Secret("jwt_agent_a.b.c"), "a", {}, outbound)


async def told(url: str, outbound: Outbound) -> str:
    """What it says when it does not come about: one line."""
    with pytest.raises(LinkDown) as down:
        await enrolled(url, outbound)
    (line,) = str(down.value).splitlines()
    return line


def says(line: str, *words: str) -> None:
    for word in words:
        assert word in line


async def test_a_server_of_our_ca_is_believed(ca: ThrowAwayCA, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secured(ca) as url:
        assert (await enrolled(url, Outbound(ca_file=ca.file))).worker == "ag-pos-a"
        monkeypatch.setenv("SSL_CERT_FILE", str(ca.file))  # the system's store has it
        assert (await enrolled(url, SYSTEM)).worker == "ag-pos-a"


async def test_an_unknown_ca(ca: ThrowAwayCA, tmp_path: Path) -> None:
    other = ThrowAwayCA(tmp_path / "other")
    async with secured(ca) as url:
        for outbound in (SYSTEM, Outbound(ca_file=other.file)):
            says(await told(url, outbound), "a CA that is not trusted here", "our CA", "set CA_FILE")


async def test_a_wrong_name(ca: ThrowAwayCA) -> None:
    async with secured(ca, "bridge.example.com", "10.0.0.1") as url:
        line = await told(url, Outbound(ca_file=ca.file))
        says(line, "is not for 127.0.0.1 but for bridge.example.com, 10.0.0.1", "use a name that it has")


async def test_an_expired_certificate(ca: ThrowAwayCA) -> None:
    async with secured(ca, begins=-9 * DAY, ends=-DAY) as url:
        line = await told(url, Outbound(ca_file=ca.file))
        says(line, f"expired on {datetime.now(UTC) - DAY:%Y-%m-%d}", "the clock", "renew the certificate")


async def test_a_clock_that_is_before_the_certificate(ca: ThrowAwayCA) -> None:
    async with secured(ca, begins=DAY) as url:
        line = await told(url, Outbound(ca_file=ca.file))
        now, begins = datetime.now(UTC), datetime.now(UTC) + DAY
        says(line, f"the clock of this device is at {now:%Y-%m-%d}", "before the notBefore", "set the clock")
        says(line, f"{begins:%Y-%m-%d}")


async def test_tls_spoken_to_a_plain_port_and_the_reverse(ca: ThrowAwayCA) -> None:
    outbound = Outbound(ca_file=ca.file)
    async with served(APP) as url:
        says(await told(url.replace("http:", "https:"), outbound), "speaks no TLS", "turn TLS on there")
    async with secured(ca) as url:
        line = await told(url.replace("https:", "http:"), outbound)
        says(line, "speaks TLS", "must begin with https://, not http://")


async def test_a_client_certificate_is_shown_to_a_server_that_wants_one(ca: ThrowAwayCA) -> None:
    ours = ca.issue("site")
    async with secured(ca, ssl_ca_certs=str(ca.file), ssl_cert_reqs=ssl.CERT_REQUIRED) as url:
        outbound = Outbound(ca_file=ca.file, cert_file=ours.cert, key_file=ours.key)
        assert (await enrolled(url, outbound)).worker == "ag-pos-a"
        await told(url, Outbound(ca_file=ca.file))


async def test_the_link_and_the_relay_say_the_same(ca: ThrowAwayCA) -> None:
    async with secured(ca) as url:
        async with client_for(url, "a", SYSTEM) as client:
            with pytest.raises(LinkDown, match="not trusted here"):
                await Api(client, SYSTEM).custom_envs("main")
        for outbound, fails in ((SYSTEM, True), (Outbound(ca_file=ca.file), False)):
            upstream = Upstream(url, SystemClock(), outbound=outbound)
            asked = upstream.get("/api/agent_workers/get_min_version", "a")
            if fails:
                with pytest.raises(ClusterDown, match="not trusted here"):
                    await asked
            else:
                assert (await asked).value == ENROLMENT
            await upstream.close()


async def test_what_is_not_there_at_all_is_no_matter_of_tls(ca: ThrowAwayCA) -> None:
    line = await told("https://127.0.0.1:1", Outbound(ca_file=ca.file))
    says(line, "ConnectError")
    assert "TLS" not in line


async def test_a_proxy_gives_the_tunnel_or_says_no(ca: ThrowAwayCA, monkeypatch: pytest.MonkeyPatch) -> None:
    async with secured(ca) as url, tunnels() as proxy:
        at = f"http://127.0.0.1:{proxy.port}"
        outbound = Outbound(ca_file=ca.file, proxies={"https": at})
        monkeypatch.setenv("HTTPS_PROXY", at)
        assert (await enrolled(url, outbound)).worker == "ag-pos-a"
        assert proxy.asked == [httpx.URL(url).netloc.decode()]
        proxy.refuses = b"403 Forbidden"
        says(await told(url, outbound), f"the proxy 127.0.0.1:{proxy.port}", "403 Forbidden", "NO_PROXY")
        monkeypatch.setenv("HTTPS_PROXY", "http://user:secret@127.0.0.1:1")
        gone = await told(url, Outbound(ca_file=ca.file, proxies={"https": "http://user:secret@127.0.0.1:1"}))
        says(gone, "ConnectError", "by the proxy 127.0.0.1:1")
        assert "secret" not in gone
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        assert (await enrolled(url, outbound)).worker == "ag-pos-a"
