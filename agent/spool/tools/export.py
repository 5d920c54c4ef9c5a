"""`agent spool export`: every result, and every quarantined row, as files that a person can carry."""

import json
import os
import sqlite3
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import quote

from agent.errors import ToolRefused
from agent.progress import Advance, progress
from agent.spool.contents import Content, Contents, checked
from agent.spool.rows import owner_of
from agent.spool.sealing import Seal
from agent.spool.tools.listing import Say
from agent.spool.tools.opened import SQL, Opened, to_look
from agent.wire.messages import Job, Result

TOLD: Final = (
    "workspace", "tag", "kind", "path", "language", "delivery", "priority", "created_by", "permissioned_as",
    "dispatched_at",
)  # fmt: skip
INLINE_BYTES: Final = 64 * 1024  # a larger document is a file of its own


def export(path: Path, say: Say, seal: Seal, *, to: Path, with_secrets: bool) -> int:
    """Writes `results.jsonl`, `quarantine.jsonl` and their files. 1 when some of it was damaged.

    A quarantined job is told without its token, arguments, environment and code, unless `with_secrets`.
    """
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)  # jobs carry tokens: nobody else reads them
        if any(to.iterdir()):
            raise ToolRefused(f"{to} is not empty; name a new folder with --to.")
        with to_look(path, seal) as spool:
            (rows,) = spool.db.execute(SQL["count_exported"]).fetchone()
            with progress("exporting", rows) as advance:
                results, damaged = _results(spool, to, advance)
                quarantined = _quarantine(spool, to, advance, with_secrets=with_secrets)
    except OSError as error:
        raise ToolRefused(
            f"cannot write {to}: {error.strerror}; free some space, or name another folder with --to."
        ) from error
    say(f"{results} results and {quarantined} quarantined rows are in {to}; {damaged} of them are damaged")
    return 1 if damaged else 0


def _results(spool: Opened, to: Path, advance: Advance) -> tuple[int, int]:
    count = damaged = 0
    contents = Contents(spool.seal)
    folder = to / "documents"
    folder.mkdir()
    with (to / "results.jsonl").open("w") as lines:
        for row in spool.db.execute(SQL["results"]):
            about = {name: row[name] for name in ("job_id", "attempt", "tag", "state")}
            file = folder / f"{quote(str(row['job_id']), safe='')}-{row['attempt']}.json"
            found = contents.message((row["job_id"], row["attempt"]), row, Content.RESULT)
            if not isinstance(found, Result):
                file = file.with_suffix(".damaged")
                file.write_bytes(bytes(row["result"] or b""))
                about["damaged"], about["file"] = True, str(file.relative_to(to))
                damaged += 1
            elif not _add(about, found, spool, file):
                damaged += 1
            _write_line(lines, about)
            advance(1)
            count += 1
    return count, damaged


def _add(about: dict[str, Any], result: Result, spool: Opened, file: Path) -> bool:
    """Put what is known into `about`, a large document into `file`. False: the document is gone."""
    about |= {
        "workspace": result.workspace, "success": result.success, "started_at": result.started_at,
        "finished_at": result.finished_at, "duration_ms": result.duration_ms, "exit_code": result.exit_code,
        "canceled_by": result.canceled_by, "canceled_reason": result.canceled_reason,
    }  # fmt: skip
    if not result.blob_sha256 and len(result.document) <= INLINE_BYTES:
        about["result"] = json.loads(result.document or b"null")
        return True
    about |= {"file": f"{file.parent.name}/{file.name}", "sha256": result.blob_sha256 or None}
    if not result.blob_sha256:
        file.write_bytes(result.document)
        return True
    try:
        with file.open("wb") as copy:
            copy.writelines(spool.blobs.pieces(owner_of((result.job_id, result.attempt))))
    except FileNotFoundError:
        about["damaged"] = True
        return False
    with file.open("rb") as copy:
        about["damaged"] = file_digest(copy, "sha256").hexdigest() != result.blob_sha256
    return not about["damaged"]


def _quarantine(spool: Opened, to: Path, advance: Advance, *, with_secrets: bool) -> int:
    count = 0
    folder = to / "quarantine"
    folder.mkdir()
    with (to / "quarantine.jsonl").open("w") as lines:
        for row in spool.db.execute(SQL["quarantine"]):
            about = {name: row[name] for name in ("job_id", "attempt", "at", "what", "reported")}
            about |= _told(row, spool.seal)
            if with_secrets:
                file = folder / f"{row['id']}.msgpack"
                key = (row["job_id"], row["attempt"])
                file.write_bytes(spool.seal.open(row["bytes"] or b"", Content.BODY, *key) or b"")
                about["file"] = str(file.relative_to(to))
            _write_line(lines, about)
            advance(1)
            count += 1
    return count


def _told(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    """What a person may know of a quarantined job that they are not to run."""
    kept = row["bytes"] or b""
    about: dict[str, Any] = {"size_bytes": len(kept), "whole": False}
    job = checked((row["job_id"], row["attempt"]), kept, row["crc"], Content.BODY, seal)
    if isinstance(job, Job):
        about |= {"whole": True} | {name: getattr(job, name) for name in TOLD}
    return about


def _write_line(lines: TextIO, about: dict[str, Any]) -> None:
    lines.write(json.dumps(about) + "\n")
    lines.flush()
    os.fsync(lines.fileno())
