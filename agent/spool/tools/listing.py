"""`agent spool ls`: what is held, by state, with its age and size."""

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

from agent.spool.tools.opened import SQL, Opened, to_look

QUARANTINE: Final = "quarantine"
Say = Callable[[str], None]


def ls(path: Path, say: Say, *, state: str | None, as_json: bool) -> int:
    """One row a line, and at the end the sums; with `as_json` one object a line."""
    sums: dict[str, tuple[int, int]] = {}
    with to_look(path) as spool:
        for row in _rows(spool, state):
            count, size = sums.get(row["state"], (0, 0))
            sums[row["state"]] = (count + 1, size + row["size_bytes"])
            say(json.dumps(row) if as_json else _line(row))
    if not as_json:
        for name, (count, size) in sums.items():
            say(f"{count} {name}, {size / 1024:.0f} KB")
        if not sums:
            say("nothing is held")
        for aside in sorted(path.glob("spool.damaged-*")):
            say(f"set aside: {aside.name}")
    return 0


def _rows(spool: Opened, state: str | None) -> Iterator[dict[str, Any]]:
    now = time.time()
    if state != QUARANTINE:
        for row in spool.db.execute(SQL["list"], {"state": state}):
            size = row["size"]
            if row["finished_at"] is not None:
                size += _size(spool.document_path(row["job_id"], row["attempt"]))
            yield _row(row, row["state"], row["tag"], _age_s(now, row["held_at"]), size, "")
    if state in (None, QUARANTINE):
        for row in spool.db.execute(SQL["list_quarantine"]):
            yield _row(row, QUARANTINE, "", _age_s(now, row["at"]), row["size"], row["what"])


def _row(row: Any, state: str, tag: str, age_s: int | None, size: int, what: str) -> dict[str, Any]:
    return {
        "state": state, "job_id": row["job_id"], "attempt": row["attempt"], "tag": tag, "age_s": age_s,
        "size_bytes": size, "what": what,
    }  # fmt: skip


def _line(row: dict[str, Any]) -> str:
    age = "?" if row["age_s"] is None else f"{row['age_s']}"
    about = row["tag"] or row["what"]
    size = row["size_bytes"]
    return f"{row['state']:<10} {row['job_id']} {row['attempt']:>3} {age:>8} s {size:>10} B  {about}"


def _age_s(now: float, then: object) -> int | None:
    return max(0, round(now - then)) if isinstance(then, int | float) else None  # else it is damaged


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0
