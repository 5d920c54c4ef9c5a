"""What the pages of jobs say in words and marks. Pure."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.jobs.lanes import FLOW_KINDS
from bridge.runs.service import Text

BRIDGE: Final = "ag-bridge-"  # the cluster's word for whoever holds a job that the bridge carries
COLUMNS_MAX: Final = 30
ROWS_MAX: Final = 200
CELL_MAX_CHARS: Final = 300
# What steers terminals.
ESCAPES: Final = re.compile(r"\x1b(?:\[[0-9;?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-_])")


@dataclass(frozen=True, slots=True)
class State:
    """`kind`: how it is coloured, beside the mark and the word."""

    word: str
    mark: str
    kind: str


SUCCESS: Final = State("success", "✓", "good")
FAILED: Final = State("failed", "✕", "bad")
CANCELED: Final = State("cancelled", "■", "idle")
ENDED: Final = {"success": SUCCESS, "failure": FAILED, "canceled": CANCELED}
CANCELLING: Final = State("cancelling", "■", "warn")
SCHEDULED: Final = State("scheduled", "◷", "idle")
HELD_BACK: Final = State("held back", "‖", "warn")
WAITING: Final = State("waiting", "○", "idle")
ON_ITS_WAY: Final = State("on its way", "➜", "idle")
AT_SITE: Final = State("at its site", "◐", "idle")
RUNNING: Final = State("running", "▶", "up")


def state_of(row: Mapping[str, Any], custody: Mapping[str, Any] | None) -> State:
    """`custody`: the newest attempt of it, if the bridge carries it."""
    if row["status"] is not None:
        return ENDED[row["status"]]
    if row["asked_by"] is not None:
        return CANCELLING
    if row["kind"] in FLOW_KINDS and row["queue_started_at"] is not None:
        return RUNNING  # whether a worker looks at it just now or not
    if row["state"] != "running":
        waiting = WAITING if row["waits_for"] is None else HELD_BACK
        return SCHEDULED if row["state"] == "later" else waiting
    return _out(row, custody)


def _out(row: Mapping[str, Any], custody: Mapping[str, Any] | None) -> State:
    if custody is None or custody["state"] == "closed":
        return ON_ITS_WAY if (row["queue_worker"] or "").startswith(BRIDGE) else RUNNING
    if custody["state"] != "accepted":
        return ON_ITS_WAY
    return AT_SITE if custody["started_at"] is None else RUNNING


def name_of(row: Mapping[str, Any]) -> str:
    """What a job runs."""
    if row["script_path"]:
        return str(row["script_path"])
    if row["kind"] == "identity":
        return "nothing"
    return "a flow" if row["kind"] in FLOW_KINDS else f"{row['language']} code"


def worker_of(row: Mapping[str, Any], custody: Mapping[str, Any] | None) -> str:
    """Who has it, or had it; a site rather than the bridge that carried it there."""
    if custody is not None and custody["custodian"]:
        return str(custody["custodian"])
    worker = row["ended_by"] or row["queue_worker"] or ""
    return "" if worker.startswith(BRIDGE) else str(worker)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A result as it is looked at: a table, an error, or a text."""

    text: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[Sequence[str]] = ()
    left_out: int = 0  # rows
    error: str = ""  # its name and its message
    is_cut: bool = False


def result_shown(found: Text) -> Shown:
    if found.is_cut:
        return Shown(text=found.text, is_cut=True)
    try:
        value = json.loads(found.text)
        pretty = json.dumps(value, indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return Shown(text=found.text)
    if isinstance(value, dict) and set(value) == {"error"} and isinstance(value["error"], dict):
        return _error(value["error"], pretty)
    if isinstance(value, list) and value and all(isinstance(one, dict) for one in value):
        return _table(value, pretty)
    return Shown(text=value if isinstance(value, str) else pretty)


def pretty_json(found: Text) -> str:
    if found.is_cut:
        return found.text
    try:
        return json.dumps(json.loads(found.text), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        return found.text


def plain(log: str) -> str:
    """A log without what steers terminals."""
    return ESCAPES.sub("", log).replace("\r\n", "\n").replace("\r", "\n").replace("\0", "")


def _error(error: Mapping[str, Any], pretty: str) -> Shown:
    name, message = error.get("name"), error.get("message")
    said = ": ".join(str(one) for one in (name, message) if one)
    stack = error.get("stack")
    more = pretty if set(error) - {"name", "message"} else ""
    return Shown(error=said or pretty, text=str(stack) if stack else more)


def _table(value: Sequence[Mapping[str, Any]], pretty: str) -> Shown:
    columns = list(dict.fromkeys(name for row in value[:ROWS_MAX] for name in row))[:COLUMNS_MAX]
    rows = [[_cell(row[name]) if name in row else "" for name in columns] for row in value[:ROWS_MAX]]
    return Shown(columns=columns, rows=rows, text=pretty, left_out=max(0, len(value) - ROWS_MAX))


def _cell(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= CELL_MAX_CHARS else f"{text[:CELL_MAX_CHARS]}…"
