"""One browser for all tests of the pages, and what it looks at."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, async_playwright

from dev_tools.brokers.broker import Broker
from tests.browser.visiting import ARGUMENTS, SCREENSHOTS
from tests.support.cluster import running_cluster, served
from tests.support.fleet import site
from tests.support.world import World, opened_world

LONG_S = 1e6  # no ping is due while the tests last

__all__ = ["browser", "fleet_url", "shops"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: apt-get install chromium")
    SCREENSHOTS.mkdir(exist_ok=True)
    async with async_playwright() as playwright:
        opened = await playwright.chromium.launch(executable_path=path, args=ARGUMENTS)
        yield opened
        await opened.close()


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def shops(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker, browser: Browser
) -> AsyncIterator[World]:
    """A cluster with its relay, and no site yet. `browser`: without one it is not started."""
    async with opened_world(tmp_path_factory.mktemp("shops"), broker) as world:
        yield world


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def fleet_url(tmp_path_factory: pytest.TempPathFactory, browser: Browser) -> AsyncIterator[str]:
    """Where a cluster without a broker answers that knows sites in every state; they are nothing but rows."""
    folder: Path = tmp_path_factory.mktemp("fleet")
    async with running_cluster(folder) as running:
        await (await site(running, "suva")).ping(
            held=41, running=2, backlog=7, backlog_age_s=7200.0, clock_offset_ms=-90_000,
            spool_bytes=900 * 2**20, spool_most_bytes=2**30, next_s=LONG_S,
        )  # fmt: skip
        await (await site(running, "nadi")).ping(held=3, next_s=0.01)
        drained = await site(running, "labasa", group="ferries")
        await drained.ping(next_s=LONG_S, drained=True)
        async with served(running.app) as url:
            await running.admin.post(f"/workers/agent/{drained.worker}/drain", data={"": ""})
            left = await site(running, "lautoka", group="ferries")
            await left.ledger.heard(left.worker, held=0, left=True)
            yield url
