"""A connection to PostgreSQL that is nobody's turn: on it comes by itself what cannot wait for one."""

from typing import Any, Final

import psycopg

from agent.logs import Secret
from bridge.store.pg_session import CONNECT_S, NET

TROUBLE: Final = (
    psycopg.Error,
    OSError,
)  # what it can come to, whoever is at fault; a TimeoutError is an OSError
GONE_MS: Final = (
    15_000  # a bridge that hangs and takes nothing that is told, for so long, is told nothing more
)

Line = psycopg.AsyncConnection[Any]


async def open_line(url: Secret) -> Line:
    """Each statement is a transaction. Raises what `TROUBLE` lists."""
    return await psycopg.AsyncConnection.connect(
        url.reveal(),
        autocommit=True,
        connect_timeout=CONNECT_S,
        application_name="orvanta bridge",
        options=f"-c tcp_user_timeout={GONE_MS}",
        **NET,
    )
