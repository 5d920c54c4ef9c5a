"""What the spool says of the agent, from another terminal, also while the agent is down."""

import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from agent.errors import SpoolUnusable
from agent.jobs.model import State
from agent.spool.folder import is_locked
from agent.spool.spool import SQL


def read(spool: Path) -> dict[str, Any]:
    """Custody by state, backlog and its age in seconds, link. Raises `SpoolUnusable`."""
    database = spool / "spool.db"
    if not database.exists():
        raise SpoolUnusable(f"there is no spool in {spool}; name the folder that the agent was started with.")
    connection = sqlite3.connect(f"file:{database}?mode=ro", uri=True)
    connection.row_factory = sqlite3.Row
    try:
        custody = {row["state"]: row["jobs"] for row in connection.execute(SQL["count_open"])}
        ready, blobs, sent = (
            connection.execute(SQL[name]).fetchone()
            for name in ("count_finished", "count_blobs", "count_sent")
        )
        meta = {
            key: connection.execute(SQL["get_meta"], {"key": key}).fetchone() for key in ("link", "enrolment")
        }
        quarantined = connection.execute(SQL["quarantined"]).fetchone()["rows"]
    except sqlite3.DatabaseError as error:
        raise SpoolUnusable(
            f"the spool {spool} cannot be read: {error}; starting the agent mends it."
        ) from error
    finally:
        connection.close()
    running = is_locked(spool)
    link, since, why = meta["link"]["value"].split("\n", 2) if meta["link"] else ("never up", "0", "")
    backlog = ready["jobs"] + blobs["jobs"]
    oldest = min((row["oldest_finished"] for row in (ready, blobs) if row["jobs"]), default=None)
    over = {State.FINISHED: backlog, State.SENT: sent["jobs"]}
    return {
        "agent": "running" if running else "not running",
        "worker": json.loads(meta["enrolment"]["value"])["worker"] if meta["enrolment"] else None,
        "link": link if running else "down",
        "link_since_s": round(time.time() - float(since)) if float(since) else None,
        "link_reason": why,
        "custody": custody | {str(state): jobs for state, jobs in over.items() if jobs},
        "backlog": backlog,
        "backlog_age_s": round(time.time() - oldest) if oldest else None,
        "quarantined": quarantined,
    }


def render(status: dict[str, Any]) -> str:
    since = "" if status["link_since_s"] is None else f" for {status['link_since_s']} s"
    age = "" if status["backlog_age_s"] is None else f", the oldest {status['backlog_age_s']} s old"
    custody = ", ".join(f"{count} {state}" for state, count in status["custody"].items()) or "nothing"
    lines = [
        f"agent    {status['agent']} ({status['worker'] or 'not enrolled yet'})",
        f"link     {status['link']}{since}" + (f": {status['link_reason']}" if status["link_reason"] else ""),
        f"custody  {custody}",
        f"backlog  {status['backlog']} results wait to leave{age}",
    ]
    if status["quarantined"]:
        lines.append(f"damaged  {status['quarantined']} rows in quarantine")
    return "\n".join(lines)
