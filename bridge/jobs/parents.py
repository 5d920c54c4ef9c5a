"""A job and the flow that it is a step of, inside the writer's transaction.

Whoever ends a step leaves word for its flow in the same commit, and the parked flow becomes ready: so no
step's end is lost, whoever dies when.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from bridge.jobs.model import FlowText, FormerChild
from bridge.jobs.news import Kind
from bridge.store.bulletin import Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, Row

SQL: Final = queries(Path(__file__).with_name("parents.sql"))

ENDED: Final = "ended"  # a child
RESUMED: Final = "resumed"  # somebody approved or refused
CANCELED: Final = "canceled"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a step's end means to its flow."""

    ok: bool
    skipped: bool = False
    stopped: bool = False  # it stops the flow too
    handled: bool = False  # a failure module has run for it


def begin(connection: Connection, flow_id: str, flow: FlowText) -> None:
    """The new job is a flow that runs this."""
    begin_all(connection, [(flow_id, flow)])
    add_children(connection, flow_id, flow.children)


def begin_all(connection: Connection, flows: Sequence[tuple[str, FlowText]]) -> None:
    """As `begin`, of new jobs without former children."""
    values = {flow.value: hashlib.sha256(flow.value).hexdigest() for _, flow in flows}
    connection.executemany(
        SQL["keep_value"], [{"hash": known, "value": text.decode()} for text, known in values.items()]
    )
    connection.executemany(
        SQL["begin"],
        [{"id": one, "hash": values[flow.value], "status": flow.status.decode()} for one, flow in flows],
    )


def add_children(connection: Connection, flow_id: str, children: Sequence[FormerChild]) -> None:
    connection.executemany(SQL["add_child"], [{"flow_id": flow_id, **asdict(one)} for one in children])


def child_ended(connection: Connection, row: Row, job_id: str, outcome: Outcome, tell: Tell) -> None:
    """`row`: where the job stood (`standing`). It may be nobody's child."""
    if row["flow_step_id"] is not None and row["parent_job"] is not None:
        note(connection, row["parent_job"], ENDED, tell, job_id, outcome)


def note(
    connection: Connection,
    flow_id: str,
    what: str,
    tell: Tell,
    job_id: str = "",
    outcome: Outcome = Outcome(ok=True),
) -> None:
    """Leave word for a flow, and wake it where it is parked."""
    connection.execute(SQL["note"], {"flow_id": flow_id, "what": what, "job_id": job_id, **asdict(outcome)})
    wake(connection, flow_id, tell)


def wake(connection: Connection, flow_id: str, tell: Tell) -> None:
    for row in connection.execute(SQL["wake"], {"flow_id": flow_id}).fetchall():
        tell(Note(Kind.PUSHED, row["tag"]))


def open_children(connection: Connection, flow_id: str) -> list[Row]:
    return connection.execute(SQL["open_children"], {"flow_id": flow_id}).fetchall()


def over(connection: Connection, flow_id: str) -> None:
    """The flow has ended: nothing is told to it any more, and its loops have no more turns."""
    connection.execute(SQL["drop_events"], {"flow_id": flow_id})
    connection.execute(SQL["drop_items"], {"flow_id": flow_id})


def overtake(connection: Connection, flow_id: str) -> None:
    """What a turn is deciding now no longer holds: it looks again."""
    connection.execute(SQL["changed"], {"flow_id": flow_id})
