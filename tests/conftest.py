"""What every test may ask for: a real RabbitMQ and PostgreSQL, and a place of its own on each."""

from collections.abc import Iterator

import pytest

from dev_tools import broker as finder
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.stopping import stop_by_unwinding
from tests.support.databases import database, database_server, store_place

__all__ = ["database", "database_server", "store_place"]

MARKS = {"broker": {"broker", "amqp_url"}, "database": {"database", "database_server"}}
LONG = (
    "containers", "chaos", "browser", "crash", "crash_states", "e2e", "guide", "fuzz", "simulation",
    "contract",
)  # fmt: skip


def pytest_configure() -> None:
    stop_by_unwinding()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that asks for a server carries its mark by itself, so that `-m "broker or database"` finds it.

    What takes long comes first, so that no process is left alone with it at the end.
    """
    for item in items:
        for mark, fixtures in MARKS.items():
            if fixtures.intersection(getattr(item, "fixturenames", ())):
                item.add_marker(mark)
    items.sort(key=lambda item: LONG.index(room) if (room := item.path.parent.name) in LONG else len(LONG))


@pytest.fixture(scope="session")
def broker() -> Iterator[finder.Broker]:
    """The run's RabbitMQ. A test that stops it starts it again."""
    with finder.find() as found:
        yield found


@pytest.fixture
def amqp_url(broker: finder.Broker) -> Iterator[str]:
    """The AMQP address of a virtual host that only this test uses."""
    with fresh_vhost(broker) as url:
        yield url
