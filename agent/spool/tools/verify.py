"""`agent spool verify`: every checksum, and SQLite's own look at its file; what is damaged and the mend."""

import json
import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.progress import progress
from agent.spool.contents import Content, Contents
from agent.spool.rows import owner_of
from agent.spool.sealing import Seal
from agent.spool.tools.listing import Say
from agent.spool.tools.opened import MEND, SQL, Opened, to_look
from agent.wire.messages import Job, Result


@dataclass(frozen=True, slots=True)
class Damage:
    what: str
    mend: str


def verify(path: Path, say: Say, seal: Seal, *, as_json: bool) -> int:
    """1 when something is damaged, else 0."""
    checked: Counter[str] = Counter()
    with to_look(path, seal) as spool:
        damages = list(_damages(spool, checked))
        notes = [] if any(one.what.startswith("the database") for one in damages) else _notes(spool)
    if as_json:
        found = [asdict(one) for one in damages]
        say(json.dumps({"damaged": found, "checked": dict(checked), "notes": notes}))
    else:
        for one in damages:
            say(f"damaged: {one.what}; {one.mend}.")
        for note in notes:
            say(f"note: {note}")
        sums = ", ".join(f"{count} {name}" for name, count in sorted(checked.items())) or "no rows"
        say(f"checked {sums}: " + (f"{len(damages)} damaged" if damages else "all whole"))
    return 1 if damages else 0


def _damages(spool: Opened, checked: Counter[str]) -> Iterator[Damage]:
    try:
        for (line,) in spool.db.execute("PRAGMA integrity_check"):
            if line != "ok":
                yield _of_database(line)
        (rows,) = spool.db.execute(SQL["count_rows"]).fetchone()
        with progress("checking", rows) as advance:
            for row in spool.db.execute(SQL["whole_rows"]):
                yield from _of_row(spool, row, checked)
                advance(1)
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:
        yield _of_database(str(error))


def _of_database(why: str) -> Damage:
    return Damage(
        f"the database: {' '.join(why.split())}",
        f"{MEND}; the bridge finds the rest",
    )


def _of_row(spool: Opened, row: sqlite3.Row, checked: Counter[str]) -> Iterator[Damage]:
    key = (row["job_id"], row["attempt"])
    contents = Contents(spool.seal)
    name = f"job {key[0]} attempt {key[1]}"
    checked["jobs"] += 1
    if not isinstance(contents.message(key, row, Content.BODY), Job):
        yield Damage(
            f"{name}: the job's bytes", "the agent sets it aside, and the bridge sends the job again"
        )
    if row["result"] is None:
        return
    checked["results"] += 1
    mend = "the agent runs the job again, or ends it where it may run only once"
    result = contents.message(key, row, Content.RESULT)
    if not isinstance(result, Result):
        yield Damage(f"{name}: its result", mend)
    elif result.blob_sha256:
        checked["documents"] += 1
        if not _document_is_whole(spool, result):
            yield Damage(f"{name}: the document of its result", mend)


def _document_is_whole(spool: Opened, result: Result) -> bool:
    """A document that went in this moment, because its result has been recorded, is no damage."""
    with suppress(OSError):
        if spool.blobs.is_whole(owner_of((result.job_id, result.attempt)), result.blob_sha256):
            return True
    with to_look(spool.path) as now:
        key = {"job_id": result.job_id, "attempt": result.attempt}
        return now.db.execute(SQL["is_held"], key).fetchone() is None


def _notes(spool: Opened) -> list[str]:
    notes = [
        f"job {row['job_id']} attempt {row['attempt']} is in quarantine: {row['what']}"
        for row in spool.db.execute(SQL["list_quarantine"])
    ]
    return notes + [f"{aside.name} was set aside" for aside in sorted(spool.path.glob("spool.damaged-*"))]
