"""A real PostgreSQL for the run, started when first asked for, and on it a database for each test."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.logs import Secret
from bridge.store.connection import MIGRATIONS, scripts
from bridge.store.on_server import OnServer
from bridge.store.pg_schema import prepare
from bridge.store.statements import Statement, for_psycopg
from dev_tools.database import DatabaseServer, find

TEMPLATE = "migrated"
POOL = 6


@pytest.fixture(scope="session")
def database_server() -> Iterator[DatabaseServer]:
    """A test that stops it starts it again."""
    with find() as server:
        server.run(f"CREATE DATABASE {TEMPLATE} TEMPLATE template0")
        prepare(server.url(TEMPLATE), TEMPLATE, scripts(MIGRATIONS / "postgresql"))
        yield server


@pytest.fixture
def database(database_server: DatabaseServer, tmp_path: Path) -> Iterator[OnServer]:
    """A store of the newest schema, that only this test uses."""
    with database_server.fresh(TEMPLATE) as name:
        yield on_server(database_server, name, tmp_path)


@pytest.fixture
def store_place(request: pytest.FixtureRequest, tmp_path: Path) -> Path | OnServer:
    """Where the test's store is: in its folder, or where its parameter says."""
    if getattr(request, "param", "sqlite") == "sqlite":
        return tmp_path
    place: OnServer = request.getfixturevalue("database")
    return place


def plain(text: str) -> Statement:
    """One that both dialects read the same."""
    return Statement(text, for_psycopg(text))


def on_server(server: DatabaseServer, name: str, folder: Path) -> OnServer:
    return OnServer(url=Secret(server.url(name)), pool=POOL, key_path=folder / "bridge.db.key", name=name)
