"""A tick becomes a job, inside the writer's transaction that also moves the schedule on to its next tick.

So no death makes a tick push twice, or not at all. Ticks that came while nobody looked push one job between
them, and while a schedule's job waits for a worker the ticks push no other: a site that is cut off, or a
cluster that was down, meets no flood.
"""

from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from bridge.errors import BadRequest, NotFound
from bridge.flows import deployed
from bridge.jobs import push
from bridge.jobs.model import FlowText, Order, RunOptions, ScriptPath
from bridge.jobs.tag_rules import TagRules
from bridge.schedules import cron
from bridge.store.statements import queries
from bridge.store.store import Connection, Row

SQL: Final = queries(Path(__file__).with_name("schedules.sql"))
AT_MOST: Final = 100  # schedules in one transaction: others wait for it

log = structlog.get_logger()


def fire_due(connection: Connection, tags: TagRules, now_s: float) -> int:
    """How many schedules were due, and have moved on; `AT_MOST`: there may be more."""
    rows = connection.execute(SQL["due"], {"now": now_s, "at_most": AT_MOST}).fetchall()
    for row in rows:
        _fire(connection, row, tags, now_s)
    return len(rows)


def _fire(connection: Connection, row: Row, tags: TagRules, now_s: float) -> None:
    job_id = error = next_tick = None
    try:
        timing = cron.parsed(row["schedule"], row["timezone"])
        next_tick = timing.next_after(max(now_s, row["next_tick"]))
        if not connection.execute(SQL["is_in_the_way"], {**row}).fetchone()["answer"]:
            job_id, _ = push.push(connection, _order(connection, row), tags, now_s)
    except (BadRequest, NotFound) as reason:
        error = str(reason)
        log.warning("schedule.failed", workspace=row["workspace_id"], path=row["path"], reason=error)
    values = {"workspace_id": row["workspace_id"], "path": row["path"], "next_tick": next_tick}
    connection.execute(SQL["advance"], {**values, "job_id": job_id, "error": error})


def _order(connection: Connection, row: Row) -> Order:
    """Raises `NotFound` for a flow that is not there."""
    tick = datetime.fromtimestamp(row["next_tick"], UTC)
    return Order(
        workspace=row["workspace_id"],
        source=_source(connection, row),
        args=row["args"].encode(),
        options=RunOptions(tag=row["tag"], scheduled_for=tick, retry=row["retry"]),
        created_by=f"schedule-{row['path'].replace('/', '-')}",
        permissioned_as=f"u/{row['edited_by']}",
        email=row["email"],
        schedule_path=row["path"],
    )


def _source(connection: Connection, row: Row) -> ScriptPath | FlowText:
    if not row["is_flow"]:
        return ScriptPath(row["script_path"])
    return deployed.text_of(deployed.head(connection, row["workspace_id"], row["script_path"]))
