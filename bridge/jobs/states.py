"""What a script remembers from one run to the next: a resource of the type `state`, set by results."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

import structlog

from bridge.errors import BadRequest
from bridge.store.statements import queries
from bridge.store.store import Connection
from bridge.web.bodies import strict_json

SQL: Final = queries(Path(__file__).with_name("states.sql"))

log = structlog.get_logger()


def keep_states(
    connection: Connection, job_id: str, path: str, states: Mapping[str, str], now_s: float
) -> None:
    """In the transaction that records the result, so that a late attempt sets nothing.

    A job sets its own script's state at `path` and no other resource (I4). Of two jobs the one that was
    handed out later has the last word, whichever result comes first.
    """
    if (value := states.get(path)) is None:
        return
    try:
        text = strict_json(value.encode()).decode()
    except (BadRequest, UnicodeEncodeError) as error:
        log.warning("state.refused", job_id=job_id, path=path, reason=str(error))
        return
    connection.execute(SQL["keep"], {"id": job_id, "path": path, "value": text, "now": now_s})


def last_state(connection: Connection, workspace: str, path: str) -> tuple[str, float] | None:
    """Its JSON text, and when the job that set it was handed out: wall seconds."""
    row = connection.execute(SQL["last"], {"workspace_id": workspace, "path": path}).fetchone()
    return None if row is None else (row["value"], row["since"])
