"""One browser and one world for all tests of the pages."""

import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, async_playwright

from dev_tools.brokers.broker import Broker
from tests.browser.visiting import ARGUMENTS, Visit, visiting
from tests.support.world import World, opened_world

__all__ = ["browser", "page", "shops", "visit"]


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def browser() -> AsyncIterator[Browser]:
    path = shutil.which("chromium")
    if path is None:
        pytest.skip("no browser: apt-get install chromium")
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


@pytest_asyncio.fixture(loop_scope="session")
async def visit(browser: Browser, shops: World) -> AsyncIterator[Visit]:
    """Opens pages of a logged-in superadmin; what a page complains of on its console fails the test."""
    async with visiting(browser, shops.bridge.url) as visit:
        yield visit


@pytest_asyncio.fixture(loop_scope="session")
async def page(visit: Visit) -> Page:
    return await visit.open("/workers")


def pytest_configure() -> None:
    (Path(__file__).parent / "screenshots").mkdir(exist_ok=True)
