"""Brings a PostgreSQL database to the newest schema, once, however many bridges start."""

from collections.abc import Sequence
from typing import Final

import psycopg
from psycopg import errors

from agent.database import TooNew
from agent.progress import tracked
from bridge.errors import ConfigError
from bridge.store.pg_session import Row, connect, first_line
from bridge.store.postgres import ALONE

OLDEST: Final = 15_00_00  # of Debian 12
MIGRATE_S: Final = 60


def prepare(url: str, name: str, migrations: Sequence[str]) -> None:
    """Apply what is missing of `migrations`, in one transaction. Raises `ConfigError`."""
    try:
        with connect(url) as connection:
            _check(connection, name)
            _migrate(connection, name, migrations)
    except TooNew as error:
        raise ConfigError(f"DATABASE_URL: {error}") from error
    except errors.InsufficientPrivilege as error:
        raise ConfigError(
            f"DATABASE_URL: the user may not make tables in {name}: {first_line(error)}; "
            "make it the owner of the database."
        ) from error
    except psycopg.OperationalError as error:
        raise ConfigError(f"DATABASE_URL: cannot use {name}: {_whole(error)}. {_mend(error)}") from error


def _check(connection: psycopg.Connection[Row], name: str) -> None:
    if connection.info.server_version < OLDEST:
        raise ConfigError(
            f"DATABASE_URL: {name} is PostgreSQL {connection.info.server_version // 10_000}; "
            f"at least {OLDEST // 10_000} is needed."
        )
    encoding = connection.info.parameter_status("server_encoding")
    if encoding != "UTF8":
        raise ConfigError(
            f"DATABASE_URL: {name} is encoded in {encoding}; "
            "create it with ENCODING 'UTF8' TEMPLATE template0."
        )


def _migrate(connection: psycopg.Connection[Row], name: str, migrations: Sequence[str]) -> None:
    connection.execute(f"SET lock_timeout = '{MIGRATE_S}s'")
    connection.execute(ALONE)
    connection.execute("CREATE TABLE IF NOT EXISTS schema_version (version BIGINT NOT NULL)")
    row = connection.execute("SELECT max(version) FROM schema_version").fetchone()
    version = 0 if row is None or row[0] is None else int(row[0])
    if version > len(migrations):
        raise TooNew(
            f"{name} has schema {version} and this release knows {len(migrations)}; "
            "install the newer release again."
        )
    missing = list(enumerate(migrations[version:], version + 1))
    for number, script in tracked(f"migrating {name}", missing) if version else missing:
        connection.execute(script)
        connection.execute("INSERT INTO schema_version (version) VALUES (%s)", (number,))
    connection.execute("COMMIT")


def _whole(error: Exception) -> str:
    return "; ".join(line.strip() for line in str(error).splitlines() if line.strip()).rstrip(".")


def _mend(error: Exception) -> str:
    told = str(error)
    if "password" in told:
        return "Check its user and its password (DATABASE_PASSWORD_FILE, PGPASSFILE)."
    if "does not exist" in told:
        return "Create it (createdb), or correct the name."
    return "Is the server up, and can it be reached from here?"
