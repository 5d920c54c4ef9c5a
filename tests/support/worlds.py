"""Fixtures that give tests a world."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio

from dev_tools.brokers.broker import Broker
from tests.support.world import World, opened_world


@pytest.fixture
async def world(tmp_path: Path, broker: Broker) -> AsyncIterator[World]:
    """A world of the test's own, to break."""
    async with opened_world(tmp_path, broker) as opened:
        yield opened


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def calm(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> AsyncIterator[World]:
    """One world for all tests that break nothing; its agent has the tags `bash`, `python` and `pos-a`."""
    async with opened_world(tmp_path_factory.mktemp("calm"), broker) as opened:
        await opened.agent("bash", "python", "pos-a", slots=2)
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def standing(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> AsyncIterator[World]:
    """One world for a file's tests that break only sites of their own, each with a tag of its own."""
    async with opened_world(tmp_path_factory.mktemp("standing"), broker) as opened:
        yield opened


@pytest.fixture
async def brokerless(tmp_path: Path) -> AsyncIterator[World]:
    """A world without RabbitMQ, of the test's own."""
    with World(tmp_path) as opened:
        await opened.open()
        yield opened
