"""`--status-port`: one page that brings all it needs, to whoever asks this machine by its own name."""

import asyncio
import base64
import hashlib
import re
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import httpx
import pytest
from structlog.testing import capture_logs

from agent import status
from agent.clock import SystemClock
from agent.config import read
from agent.errors import ConfigError
from agent.logs import hide
from agent.site.page import AT_ONCE, HEAD_BYTES, served
from agent.spool.spool import Spool
from dev_tools.ports import free_ports
from tests.support.until import until

ENVIRONMENT = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://h"}


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    yield opened
    await opened.close()


@pytest.fixture
async def page(spool: Spool) -> AsyncIterator[httpx.AsyncClient]:
    async with (
        served(spool.folder.path, 0) as port,
        httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client,
    ):
        yield client


def port_of(page: httpx.AsyncClient) -> int:
    return page.base_url.port or 0


async def shows(page: httpx.AsyncClient, words: str) -> bool:
    return words in (await page.get("/")).text


async def said(page: httpx.AsyncClient, sent: bytes) -> bytes:
    """All that comes back to these bytes, until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port_of(page))
    writer.write(sent)
    try:
        return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


async def test_it_shows_what_status_says(spool: Spool, page: httpx.AsyncClient) -> None:
    answer = await page.get("/")
    assert (answer.status_code, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
    for line in status.lines(status.read(spool.folder.path)):
        assert f"<dt>{line.name}</dt>" in answer.text
    assert "running (not enrolled yet)" in answer.text
    told, read = (await page.get("/status.json")).json(), status.read(spool.folder.path)
    assert told.pop("spool").keys() == read.pop("spool").keys()  # the disk is others' too, so not its figures
    assert told == read
    part = (await page.get("/part?again")).text
    assert part.startswith("<dl><dt>agent</dt>")
    assert "<html" not in part


async def test_it_needs_nothing_from_elsewhere_and_allows_nothing(page: httpx.AsyncClient) -> None:
    answer = await page.get("/")
    assert re.findall(r"https?://|src=|url\(", answer.text) == []
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; ")
    for tag in ("style", "script"):
        (text,) = re.findall(rf"<{tag}>(.*?)</{tag}>", answer.text, re.DOTALL)
        assert (
            f"{tag}-src 'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
            in policy
        )
    assert "frame-ancestors 'none'" in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["cache-control"] == "no-store"
    assert "prefers-color-scheme: dark" in answer.text


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example:{port}", "localhost.evil.example", "", "[::1]"]
)
async def test_a_name_that_is_not_this_machines_is_refused(page: httpx.AsyncClient, host: str) -> None:
    answer = await page.get("/status.json", headers={"Host": host.format(port=port_of(page))})
    assert answer.status_code == 421
    assert "custody" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:{port}", "127.0.0.1"])
async def test_its_own_names_are_answered(page: httpx.AsyncClient, host: str) -> None:
    headers = {"Host": host.format(port=port_of(page))}
    assert (await page.get("/status.json", headers=headers)).status_code == 200


async def test_no_other_address_of_the_machine_answers(page: httpx.AsyncClient) -> None:
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection("127.0.0.2", port_of(page))


async def test_it_only_shows(page: httpx.AsyncClient) -> None:
    assert (await page.post("/")).status_code == 405
    assert (await page.get("/spool.db")).status_code == 404
    head = await page.head("/")
    assert (head.status_code, head.content) == (200, b"")


async def test_what_others_wrote_is_text_and_a_secret_is_hidden(
    spool: Spool, page: httpx.AsyncClient
) -> None:
    hide("planted-on-the-page")
    await spool.set_meta("link", "down\n0\n<script>alert(1)</script> planted-on-the-page")
    answer = await page.get("/")
    assert "&lt;script&gt;alert(1)" in answer.text
    assert "planted-on-the-page" not in answer.text
    assert "planted-on-the-page" not in (await page.get("/status.json")).text


async def test_a_spool_that_cannot_be_read_is_said(spool: Spool, page: httpx.AsyncClient) -> None:
    await spool.set_meta("link", "damaged")
    assert "never up" in (await page.get("/")).text
    spool.folder.database.rename(spool.folder.path / "away")
    await until(lambda: shows(page, "there is no spool"))  # the last look is good for a moment


async def test_whoever_sends_rubbish_harms_nobody(page: httpx.AsyncClient) -> None:
    assert await said(page, b"x" * (HEAD_BYTES * 3)) == b""
    assert b" 421 " in (await said(page, b"\r\n\r\n")).partition(b"\r\n")[0]
    _, gone = await asyncio.open_connection("127.0.0.1", port_of(page))
    gone.write(b"GET / HT")
    gone.close()
    assert (await page.get("/")).status_code == 200


async def test_only_so_many_at_once(page: httpx.AsyncClient) -> None:
    async with AsyncExitStack() as waiting:
        for _ in range(AT_ONCE):
            _, writer = await asyncio.open_connection("127.0.0.1", port_of(page))
            waiting.callback(writer.close)
        assert (await page.get("/")).status_code == 503


async def test_a_port_that_is_taken_stops_no_agent(spool: Spool, page: httpx.AsyncClient) -> None:
    with capture_logs() as logs:
        async with served(spool.folder.path, port_of(page)) as port:
            assert port is None
    assert [one["event"] for one in logs] == ["status.not_served"]


@pytest.mark.parametrize("port", [0, 65_536, -1])
def test_a_port_is_a_port(tmp_path: Path, port: int) -> None:
    (free,) = free_ports(1)
    assert read(ENVIRONMENT, tmp_path, None, None, status_port=free).status_port == free
    with pytest.raises(ConfigError, match="--status-port must be a port from 1 to 65535"):
        read(ENVIRONMENT, tmp_path, None, None, status_port=port)
