"""`agent spool export`: every result, and every quarantined row, as files that a person can carry."""

import json
import os
import shutil
from pathlib import Path
from typing import Any, Final, TextIO
from urllib.parse import quote

from agent.errors import ToolRefused
from agent.spool.rows import checked
from agent.spool.tools.listing import Say
from agent.spool.tools.opened import SQL, Opened, to_look
from agent.wire.messages import Result

INLINE_BYTES: Final = 64 * 1024  # a larger document is a file of its own


def export(path: Path, say: Say, *, to: Path) -> int:
    """Writes `results.jsonl`, `quarantine.jsonl` and their files. 1 when some of it was damaged."""
    try:
        to.mkdir(mode=0o700, parents=True, exist_ok=True)  # jobs carry tokens: nobody else reads them
        if any(to.iterdir()):
            raise ToolRefused(f"{to} is not empty; name a new folder with --to.")
        with to_look(path) as spool:
            results, damaged = _results(spool, to)
            quarantined = _quarantine(spool, to)
    except OSError as error:
        raise ToolRefused(
            f"cannot write {to}: {error.strerror}; free some space, or name another folder with --to."
        ) from error
    say(f"{results} results and {quarantined} quarantined rows are in {to}; {damaged} of them are damaged")
    return 1 if damaged else 0


def _results(spool: Opened, to: Path) -> tuple[int, int]:
    count = damaged = 0
    folder = to / "documents"
    folder.mkdir()
    with (to / "results.jsonl").open("w") as lines:
        for row in spool.db.execute(SQL["results"]):
            about = {name: row[name] for name in ("job_id", "attempt", "tag", "state")}
            file = folder / f"{quote(str(row['job_id']), safe='')}-{row['attempt']}.json"
            found = checked((row["job_id"], row["attempt"]), row["result"], row["result_crc"])
            if not isinstance(found, Result):
                file = file.with_suffix(".damaged")
                file.write_bytes(bytes(row["result"] or b""))
                about["damaged"], about["file"] = True, str(file.relative_to(to))
                damaged += 1
            elif not _add(about, found, spool, file):
                damaged += 1
            _write_line(lines, about)
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
        shutil.copyfile(spool.document_path(result.job_id, result.attempt), file)
    except FileNotFoundError:
        about["damaged"] = True
        return False
    return True


def _quarantine(spool: Opened, to: Path) -> int:
    count = 0
    folder = to / "quarantine"
    folder.mkdir()
    with (to / "quarantine.jsonl").open("w") as lines:
        for row in spool.db.execute(SQL["quarantine"]):
            file = folder / f"{row['id']}.msgpack"
            file.write_bytes(row["bytes"] or b"")
            about = {name: row[name] for name in ("job_id", "attempt", "at", "what", "reported")}
            _write_line(lines, about | {"file": str(file.relative_to(to))})
            count += 1
    return count


def _write_line(lines: TextIO, about: dict[str, Any]) -> None:
    lines.write(json.dumps(about) + "\n")
    lines.flush()
    os.fsync(lines.fileno())
