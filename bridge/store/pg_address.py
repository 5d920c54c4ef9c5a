"""Reads the address of a PostgreSQL database, as libpq does."""

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from bridge.errors import ConfigError


def name_of(url: str) -> str:
    """The database as messages name it, without a password. Raises `ConfigError`."""
    parts = _parts(url)
    where = parts.get("host") or parts.get("hostaddr") or "the local socket"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"database {parts.get('dbname') or parts.get('user') or ''} at {where}{port}"


def with_password(url: str, password: str) -> str:
    """The same address, in libpq's other spelling."""
    return make_conninfo(url, password=password)


def _parts(url: str) -> Mapping[str, Any]:
    with suppress(psycopg.ProgrammingError):  # whose text may have the password
        if url.startswith(("postgresql://", "postgres://")):
            return conninfo_to_dict(url)
    raise ConfigError(
        "DATABASE_URL cannot be read; set it to an address such as "
        "postgresql://user:password@host:5432/orvanta, with %XX for what is special in a password"
    )
