"""What becomes of a job whose worker fell silent or lost it (agent-api.md 5.3)."""

from collections.abc import Mapping
from enum import Enum
from typing import Final

from agent.wire.claims import Tag
from agent.wire.messages import Delivery
from bridge.jobs import formers, joblog
from bridge.jobs.lanes import FLOW_KINDS
from bridge.jobs.model import error_object
from bridge.jobs.news import READY, Kind
from bridge.jobs.rules import Rules
from bridge.jobs.transitions import SQL, End, drop_steps, end_canceled, error_text, record_end, standing
from bridge.store.bulletin import Note, Tell
from bridge.store.store import Connection, Row

RESTARTS_MAX: Final = 3  # agent-api.md 5.3


class GivenUp(Enum):
    RESTARTED = "restarted"
    FAILED = "failed"
    GONE = "gone"


def give_up(
    connection: Connection, lost: Mapping[str, str], rules: Rules, now_s: float, tell: Tell
) -> list[GivenUp]:
    """Take these jobs from their workers; each says after what: "Restarted job after …"."""
    return [_give_up(connection, job_id, after, rules, now_s, tell) for job_id, after in lost.items()]


def _give_up(
    connection: Connection, job_id: str, after: str, rules: Rules, now_s: float, tell: Tell
) -> GivenUp:
    row = standing(connection, job_id, None)
    if row is None or row["worker"] is None:  # also a flow that has been parked meanwhile
        return GivenUp.GONE
    formers.note(connection, job_id, row["restarts"] + 1, row["worker"], now_s)
    tag = Tag(row["tag"])
    delivery = rules.delivery(tag, Delivery(row["delivery"]))
    if row["kind"] in FLOW_KINDS and row["restarts"] < RESTARTS_MAX:  # its steps are what runs once only
        return _restart(connection, job_id, row, after, tell)
    if row["replace"] == "never" or not rules.may_replace(tag, delivery):  # I2: it may have been started
        _fail(connection, job_id, "CustodianLost", after, now_s, tell)
    elif row["same_worker"] or row["restarts"] >= RESTARTS_MAX:
        _fail(connection, job_id, "Timeout", after, now_s, tell)
        drop_steps(connection, job_id, row, now_s, tell)
    elif row["canceled_by"] is not None:  # I7: what is cancelled is not started again
        end_canceled(connection, job_id, row["canceled_by"], row["canceled_reason"], now_s, tell)
    else:
        return _restart(connection, job_id, row, after, tell)
    return GivenUp.FAILED


def _restart(connection: Connection, job_id: str, row: Row, after: str, tell: Tell) -> GivenUp:
    joblog.append(connection, job_id, f"\nRestarted job after {after} (worker {row['worker']})\n")
    connection.execute(SQL["restart"], {"id": job_id})
    tell(READY)
    tell(Note(Kind.OVER, job_id))
    return GivenUp.RESTARTED


def _fail(connection: Connection, job_id: str, name: str, after: str, now_s: float, tell: Tell) -> None:
    error = error_object(name, f"Job timed out after {after}")
    record_end(connection, job_id, End(status="failure", result=error_text(error), now_s=now_s), tell)
