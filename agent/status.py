"""What the spool says of the agent, from another terminal, also while the agent is down."""

import contextlib
import json
import os
import sqlite3
import time
from pathlib import Path
from typing import Any, Final, Literal, NamedTuple

from agent.errors import SpoolUnusable
from agent.progress import span
from agent.reading import used_bytes_of
from agent.spool.outside import is_locked, noted_room, used_below
from agent.spool.refusal import unusable
from agent.spool.statements import SQL

MIB: Final = 1024 * 1024
FINISHED: Final = "finished"  # `State` has the same words, and costs as much to load as the whole of this
SENT: Final = "sent"

Tone = Literal["good", "plain", "warn", "bad"]


class Line(NamedTuple):
    """A row of what people see, on a terminal and on a page."""

    name: str
    said: str
    tone: Tone = "plain"  # a colour may repeat what the words say


def read(spool: Path) -> dict[str, Any]:
    """Custody by state, backlog and its age in seconds, link. Raises `SpoolUnusable`."""
    database = spool / "spool.db"
    with unusable(spool):
        is_there = database.exists()
    if not is_there:
        raise SpoolUnusable(f"there is no spool in {spool}; name the folder that the agent was started with.")
    try:
        connection = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True)
    except sqlite3.Error as error:
        raise SpoolUnusable(f"the spool {spool} cannot be opened: {error}; is it this user's?") from error
    connection.row_factory = sqlite3.Row
    try:
        custody = {row["state"]: row["jobs"] for row in connection.execute(SQL["count_open"])}
        ready, blobs, sent = (
            connection.execute(SQL[name]).fetchone()
            for name in ("count_finished", "count_blobs", "count_sent")
        )
        meta = {
            key: connection.execute(SQL["get_meta"], {"key": key}).fetchone()
            for key in ("link", "worker", "enrolment", "bundles")
        }
        used_bytes = used_bytes_of(connection)
        quarantined = connection.execute(SQL["quarantined"]).fetchone()["rows"]
    except sqlite3.DatabaseError as error:
        raise SpoolUnusable(
            f"the spool {spool} cannot be read: {error}; starting the agent mends it."
        ) from error
    finally:
        connection.close()
    running = is_locked(spool)
    link, since_s, why = _link_noted(meta["link"])
    backlog = ready["jobs"] + blobs["jobs"]
    oldest = min((row["oldest_finished"] for row in (ready, blobs) if row["jobs"]), default=None)
    over = {FINISHED: backlog, SENT: sent["jobs"]}
    return {
        "agent": "running" if running else "not running",
        "worker": _worker(meta["worker"], meta["enrolment"]),
        "link": link if running else "down",
        "link_since_s": round(time.time() - since_s) if since_s else None,
        "link_reason": why,
        "custody": custody | {state: jobs for state, jobs in over.items() if jobs},
        "backlog": backlog,
        "backlog_age_s": round(time.time() - oldest) if oldest else None,
        "quarantined": quarantined,
        "spool": _room(spool, used_bytes),
        "bundles": _bundles(meta["bundles"]) if running else {},
    }


def _link_noted(row: sqlite3.Row | None) -> tuple[str, float, str]:
    """Its state, since when (wall seconds; 0: never) and why. What cannot be read is as good as not there."""
    with contextlib.suppress(ValueError):
        if row is not None:
            link, since, why = str(row["value"]).split("\n", 2)
            return link, float(since), why
    return "never up", 0.0, ""


def _bundles(row: sqlite3.Row | None) -> dict[str, Any]:
    """Jobs that wait for what they import, as the agent last said."""
    with contextlib.suppress(ValueError):
        return {} if row is None else dict(json.loads(row["value"]))
    return {}


def _worker(noted: sqlite3.Row | None, enrolment: sqlite3.Row | None) -> str | None:
    """An older release wrote the enrolment only, which may be sealed by now."""
    if noted is not None:
        return str(noted["value"])
    if enrolment is None or not isinstance(enrolment["value"], str):
        return None
    return str(json.loads(enrolment["value"])["worker"])


def _room(spool: Path, database_bytes: int) -> dict[str, Any]:
    """What the spool uses now; its bounds, and what is promised, as the agent last said."""
    try:
        told: dict[str, Any] = json.loads(noted_room(spool))
    except ValueError:
        told = {}
    disk = os.statvfs(spool)
    used = database_bytes + used_below(spool / "blobs") + used_below(spool / "work")
    if not is_locked(spool):
        told |= {"reserved_mb": 0.0, "waiting_for_room": 0}
    return told | {
        "used_mb": round(used / MIB, 1),
        "free_mb": round(disk.f_bavail * disk.f_frsize / MIB, 1),
    }


def render(status: dict[str, Any]) -> str:
    return "\n".join(f"{line.name:<9}{line.said}" for line in lines(status))


def lines(status: dict[str, Any]) -> list[Line]:
    age = "" if status["backlog_age_s"] is None else f", the oldest {span(status['backlog_age_s'])} old"
    custody = ", ".join(f"{count} {state}" for state, count in status["custody"].items()) or "nothing"
    room = status["spool"]
    runs = status["agent"] == "running"
    found = [
        Line(
            "agent",
            f"{status['agent']} ({status['worker'] or 'not enrolled yet'})",
            "good" if runs else "bad",
        ),
        _link(status),
        Line("custody", custody),
        Line("backlog", f"{status['backlog']} results wait to leave{age}"),
        Line("spool", _room_text(room), "plain" if room.get("takes_jobs", True) else "warn"),
    ]
    if room.get("fault"):
        found.append(Line("disk", room["fault"], "bad"))
    if status["bundles"].get("jobs"):
        found.append(Line("waiting", _waits(status["bundles"]), "warn"))
    if room.get("waiting_for_room"):
        found.append(Line("waiting", f"{room['waiting_for_room']} jobs wait for room in the spool", "warn"))
    if status["quarantined"]:
        found.append(Line("damaged", f"{status['quarantined']} rows in quarantine", "bad"))
    return found


def _link(status: dict[str, Any]) -> Line:
    since = "" if status["link_since_s"] is None else f" for {span(status['link_since_s'])}"
    why = f": {status['link_reason']}" if status["link_reason"] else ""
    tone: Tone = "warn" if status["link"] != "up" or why else "good"
    return Line("link", f"{status['link']}{since}{why}", tone)


def _waits(bundles: dict[str, Any]) -> str:
    jobs, why = bundles["jobs"], f"; {bundles['why']}" if bundles["why"] else ""
    of = f": {bundles['have'] / MIB:.1f} of {bundles['of'] / MIB:.1f} MB" if bundles["of"] else ""
    return f"{jobs} {'job waits' if jobs == 1 else 'jobs wait'} for what they import{of}{why}"


def _room_text(room: dict[str, Any]) -> str:
    quota = room.get("quota_mb")
    used = f"{room['used_mb']:g} MB used" + ("" if quota is None else f" of {quota:g}")
    floor = f" (floor {room['floor_mb']:g})" if "floor_mb" in room else ""
    full = "" if room.get("takes_jobs", True) else "; takes nothing new"
    return f"{used}, {room.get('reserved_mb', 0):g} MB reserved, {room['free_mb']:g} MB free{floor}{full}"
