"""Who looks at a page that moves by itself."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from tests.support.until import until

LIVE = re.compile(r'sse-connect="([^"]+)"')


class Viewer:
    def __init__(self) -> None:
        self.text = ""

    async def read(self, answer: httpx.Response) -> None:
        async for piece in answer.aiter_text():
            self.text += piece

    @property
    def events(self) -> list[str]:
        return re.findall(r"^event: (.+)$", self.text, re.MULTILINE)


@asynccontextmanager
async def viewer(client: httpx.AsyncClient, path: str) -> AsyncIterator[Viewer]:
    seen = Viewer()
    async with client.stream("GET", path, timeout=None) as answer, asyncio.TaskGroup() as group:
        assert answer.headers["content-type"].startswith("text/event-stream")
        reading = group.create_task(seen.read(answer))
        await until(lambda: "retry:" in seen.text, within_s=5)
        yield seen
        reading.cancel()
