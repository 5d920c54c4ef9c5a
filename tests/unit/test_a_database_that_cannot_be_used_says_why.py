"""A PostgreSQL that the bridge cannot use is refused in one line, with the mend and without the password."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from agent.logs import Secret
from bridge import config
from bridge.errors import ConfigError
from bridge.store.connection import MIGRATIONS, open_store, scripts
from bridge.store.on_server import OnServer
from bridge.store.pg_schema import prepare
from bridge.store.store import Connection
from dev_tools.database import DatabaseServer
from dev_tools.ports import free_ports
from tests.support.databases import on_server, plain

pytestmark = pytest.mark.on_each_release

PASSWORD = "tell-nobody"
URL = f"postgresql://me:{PASSWORD}@127.0.0.1:1/orvanta"
COLUMNS = plain(
    "SELECT table_name, column_name FROM information_schema.columns"
    " WHERE table_schema = 'public' AND table_name <> 'schema_version'"
)


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"BRIDGE_STORE": "bridge.db"}, ("BRIDGE_STORE", "DATABASE_URL")),
        ({"DATABASE_POOL": "3"}, ("DATABASE_POOL", "4")),
        ({"DATABASE_URL": f"mysql://me:{PASSWORD}@host/db"}, ("DATABASE_URL", "postgresql://")),
        ({"DATABASE_URL": f"postgresql://me:{PASSWORD}@host:port/db?x=1"}, ("DATABASE_URL", "postgresql://")),
        ({"DATABASE_PASSWORD_FILE": "/nowhere"}, ("DATABASE_PASSWORD_FILE", "/nowhere")),
    ],
)
def test_the_settings(settings: dict[str, str], names: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError) as refused:
        config.read({"DATABASE_URL": URL} | settings, relay_only=False)
    assert all(name in str(refused.value) for name in names), refused.value
    assert PASSWORD not in str(refused.value)


def test_the_password_may_stand_in_a_file(tmp_path: Path) -> None:
    (tmp_path / "password").write_text("it's \\ odd\n")
    settings = {"DATABASE_URL": URL, "DATABASE_PASSWORD_FILE": str(tmp_path / "password")}
    read = config.read(settings, relay_only=False)
    assert isinstance(read.store, OnServer)
    assert r"password='it\'s \\ odd'" in read.store.url.reveal()
    assert read.store.name == "database orvanta at 127.0.0.1:1"
    assert PASSWORD not in repr(read)


def test_the_server(database_server: DatabaseServer) -> None:
    def refused(url: str, *names: str) -> None:
        with pytest.raises(ConfigError) as error:
            prepare(url, "database x", [])
        assert all(name in str(error.value) for name in ("DATABASE_URL", *names)), error.value
        assert len(str(error.value).splitlines()) == 1

    url = database_server.url()
    (unused,) = free_ports(1)
    refused(f"postgresql://127.0.0.1:{unused}/x", "refused", "Is the server up")
    refused(database_server.url("nothing"), "does not exist", "createdb")
    refused(url.replace("@", "wrong@"), "password", "DATABASE_PASSWORD_FILE")
    with database_server.fresh("template0 ENCODING 'SQL_ASCII' LOCALE 'C'") as name:
        refused(database_server.url(name), "SQL_ASCII", "UTF8")
    with database_server.fresh() as name:
        database_server.run("CREATE ROLE guest LOGIN PASSWORD 'guest'")
        address = database_server.url(name).partition("@")[2]
        with pytest.raises(ConfigError, match="owner"):
            prepare(f"postgresql://guest:guest@{address}", name, ["SELECT 1"])


async def test_two_that_start_at_once_migrate_once(database_server: DatabaseServer, tmp_path: Path) -> None:
    with database_server.fresh() as name:
        place = on_server(database_server, name, tmp_path)
        stores = await asyncio.gather(*(open_store(place) for _ in range(3)))
        file = await open_store(tmp_path / "bridge.db")
        try:
            found = await stores[0].read(lambda db: {tuple(row) for row in db.execute(COLUMNS)})
            shared = {(table, column) for table, column in found if table != "leader"}
            assert shared == await file.read(_columns_of_sqlite)
        finally:
            for store in (*stores, file):
                await store.close()
        url, known = place.url.reveal(), scripts(MIGRATIONS / "postgresql")
        prepare(url, name, [*known, "CREATE TABLE added (a BIGINT)", "INSERT INTO added VALUES (1)"])
        prepare(url, name, [*known, "never", "again"])
        with pytest.raises(ConfigError, match=rf"schema {len(known) + 2} .* knows {len(known)}; install"):
            await open_store(replace(place, url=Secret(url)))


def _columns_of_sqlite(db: Connection) -> set[tuple[str, str]]:
    tables = plain("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
    columns = plain("SELECT name FROM pragma_table_info(:name)")
    return {
        (name, column["name"])
        for (name,) in db.execute(tables)
        for column in db.execute(columns, {"name": name})
    }
