"""The proxy that tests and demo cut: what it passes, and what it holds back."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from dev_tools.proxy import Cut, LinkProxy
from tests.support.until import until

ANSWER_S = 10.0


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1024):
        writer.write(chunk)
    writer.close()


@pytest_asyncio.fixture
async def link() -> AsyncIterator[LinkProxy]:
    """A link to a server that gives back what it gets."""
    async with await asyncio.start_server(echo, "127.0.0.1", 0) as server:
        with LinkProxy("127.0.0.1", server.sockets[0].getsockname()[1]) as link:
            yield link


async def connect(link: LinkProxy) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection("127.0.0.1", link.port)


async def ask(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, text: bytes) -> bytes:
    writer.write(text)
    async with asyncio.timeout(ANSWER_S):
        return await reader.readexactly(len(text))


async def test_it_passes_and_counts_both_directions(link: LinkProxy) -> None:
    reader, writer = await connect(link)
    assert await ask(reader, writer, b"hello") == b"hello"
    await until(lambda: (link.up_bytes, link.down_bytes) == (5, 5))
    assert link.connections == 1
    writer.close()
    await until(lambda: link.connections == 0)


async def test_a_cut_resets_what_is_open_and_refuses_what_is_new(link: LinkProxy) -> None:
    reader, writer = await connect(link)
    assert await ask(reader, writer, b"hello") == b"hello"
    link.cut()
    assert link.is_cut
    with pytest.raises(ConnectionError):
        await reader.readexactly(1)
    with pytest.raises(ConnectionRefusedError):
        await connect(link)


async def test_after_a_cut_it_comes_back_on_the_same_port(link: LinkProxy) -> None:
    port = link.port
    link.cut()
    link.restore()
    assert link.port == port
    assert await ask(*await connect(link), b"again") == b"again"


async def test_a_stalled_link_holds_the_bytes_until_it_is_restored(link: LinkProxy) -> None:
    reader, writer = await connect(link)
    assert await ask(reader, writer, b"hello") == b"hello"
    link.cut(Cut.STALL)
    writer.write(b"late")
    await until(lambda: link.is_cut)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0.3):
            await reader.readexactly(1)
    link.restore()
    async with asyncio.timeout(ANSWER_S):
        assert await reader.readexactly(4) == b"late"


async def test_half_a_link_passes_one_direction(link: LinkProxy) -> None:
    reader, writer = await connect(link)
    assert await ask(reader, writer, b"hello") == b"hello"
    link.cut(Cut.DOWN)
    writer.write(b"heard")
    await until(lambda: link.up_bytes == 10)  # it went up, and the answer does not come down
    assert link.down_bytes == 5
    link.restore()
    async with asyncio.timeout(ANSWER_S):
        assert await reader.readexactly(5) == b"heard"
    link.cut(Cut.UP)
    writer.write(b"unheard")
    await until(lambda: link.is_cut)
    assert link.up_bytes == 10
    link.restore()
    async with asyncio.timeout(ANSWER_S):
        assert await reader.readexactly(7) == b"unheard"


async def test_a_forgotten_connection_swallows_for_ever_and_a_new_one_works(link: LinkProxy) -> None:
    reader, writer = await connect(link)
    assert await ask(reader, writer, b"hello") == b"hello"
    link.cut(Cut.FORGET)
    link.restore()
    writer.write(b"lost")
    new_reader, new_writer = await connect(link)
    assert await ask(new_reader, new_writer, b"again") == b"again"
    await until(lambda: (link.up_bytes, link.down_bytes) == (10, 10))
    new_writer.close()
    await until(lambda: link.connections == 1)
    assert not reader.at_eof()  # nobody told it


async def test_a_thin_or_long_link_takes_its_time(link: LinkProxy) -> None:
    reader, writer = await connect(link)
    link.slow_down(bytes_per_s=2000)
    began_s = time.monotonic()
    assert await ask(reader, writer, b"x" * 1000) == b"x" * 1000
    assert time.monotonic() - began_s > 0.4
    link.slow_down(delay_s=0.2)
    began_s = time.monotonic()
    assert await ask(reader, writer, b"hello") == b"hello"
    assert time.monotonic() - began_s >= 0.4  # there and back
    link.restore()
    assert await ask(reader, writer, b"y" * 100_000) == b"y" * 100_000
