"""`agent spool seal` and `rekey`: all that is kept is sealed anew, and no trace of how it was is left."""

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any
from zlib import crc32

from agent.errors import ToolRefused
from agent.progress import tracked
from agent.spool.contents import Content, Contents
from agent.spool.credentials import seal_credentials
from agent.spool.key_note import adopted, keep, note_of
from agent.spool.refusal import unusable
from agent.spool.rows import owner_of
from agent.spool.sealing import Seal
from agent.spool.spool import SEALED_META
from agent.spool.tools.listing import Say
from agent.spool.tools.opened import SQL, Opened, refused, to_change
from agent.wire.messages import Result


def seal_all(path: Path, say: Say, operator: Seal) -> int:
    """What lies there in the clear, or under an older key, is sealed too. Called again it goes on."""
    if not operator.key_id:
        raise ToolRefused("there is no key to seal with; set SPOOL_KEY_FILE to the file that holds it.")
    with to_change(path, operator) as spool:
        with refused():
            seal = adopted(path, operator)
        _seal_anew(replace(spool, seal=seal), say, operator)
    return 0


def rekey(path: Path, say: Say, operator: Seal, new: Seal) -> int:
    """From the first durable write on the spool opens to the new key only; then all of it is sealed anew.

    Whenever it is cut off, one of the two keys opens all that is kept, and called again it goes on.
    """
    with refused(), unusable(path):
        note = note_of(path)
    if note is None:
        raise ToolRefused(
            f"the spool {path} is not sealed yet; start the agent with SPOOL_KEY_FILE, or call `spool seal`."
        )
    is_begun = note.by == new.key_id
    with to_change(path, new if is_begun else operator) as spool:
        with refused(), unusable(path):
            seal = adopted(path, new) if is_begun else keep(path, new, *spool.seal.keys)
        _seal_anew(replace(spool, seal=seal), say, new)
    return 0


def _seal_anew(spool: Opened, say: Say, operator: Seal) -> None:
    """Files first, each by itself, then all rows in one commit; at last the older keys go."""
    with refused(), unusable(spool.path):
        documents = sum(map(spool.blobs.seal, tracked("sealing documents", list(_owners(spool)))))
        credentials = seal_credentials(spool.path, spool.seal)
    spool.db.execute("PRAGMA secure_delete = ON")  # what is written over is zeroed, not left in the file
    rows = sum(_rows(spool, name) for name in SEALED)
    spool.db.execute("COMMIT")
    spool.db.execute("VACUUM")  # what was deleted before may lie in half-empty pages
    spool.db.execute("BEGIN IMMEDIATE")  # `to_change` ends one, and then empties the log that had them
    say(
        f"{rows} rows and {documents} documents sealed with the key {operator.key_id}, and {credentials} "
        "credentials; all of it is sealed now"
    )
    newest, *older = spool.seal.keys
    if not older:
        return
    if list(spool.path.glob("spool.damaged-*")):
        say("older keys are kept for what was set aside; `spool purge --set-aside`, then call this again")
        return
    with refused(), unusable(spool.path):
        keep(spool.path, operator, newest=newest)


def _owners(spool: Opened) -> Iterator[str]:
    contents = Contents(spool.seal)
    for row in spool.db.execute(SQL["results"]):
        key = (row["job_id"], row["attempt"])
        found = contents.message(key, row, Content.RESULT)
        if isinstance(found, Result) and found.blob_sha256:
            yield owner_of(key)


def _rows(spool: Opened, name: str) -> int:
    """Row by row, so that memory holds one. How many were sealed."""
    sealed = 0
    for (row_id,) in tracked(f"sealing {name}", spool.db.execute(SQL[f"{name}_ids"]).fetchall()):
        row = spool.db.execute(SQL[f"{name}_row"], {"id": row_id}).fetchone()
        values = SEALED[name](row, spool.seal)
        if values:
            spool.db.execute(SQL[f"seal_{name}"], dict(row) | values)
            sealed += 1
    return sealed


def _closed(row: sqlite3.Row, name: str, crc: str, content: Content, seal: Seal) -> dict[str, Any]:
    """What is damaged stays so: its checksum is not made anew."""
    kept, place = row[name], (content, row["job_id"], row["attempt"])
    if not isinstance(kept, bytes) or not seal.is_due(kept):
        return {}
    opened = seal.open(kept, *place)
    if opened is None:
        return {}
    sealed = seal.close(opened, *place)
    return {name: sealed, crc: crc32(sealed) if crc32(kept) == row[crc] else row[crc]}


def _of_held(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return {
        **_closed(row, "body", "body_crc", Content.BODY, seal),
        **_closed(row, "result", "result_crc", Content.RESULT, seal),
    }


def _of_quarantine(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return _closed(row, "bytes", "crc", Content.BODY, seal)


def _of_log(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return _closed_text(row, "text", seal, Content.LOG, row["job_id"], row["attempt"], row["start"])


def _of_meta(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return _closed_text(row, "value", seal, Content.META, row["id"]) if row["id"] in SEALED_META else {}


def _of_state(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return _closed_text(row, "value", seal, Content.STATE, row["workspace"], row["path"])


def _closed_text(row: sqlite3.Row, name: str, seal: Seal, *place: str | int) -> dict[str, Any]:
    kept = row[name].encode() if isinstance(row[name], str) else row[name]
    opened = seal.open(kept, *place) if isinstance(kept, bytes) and seal.is_due(kept) else None
    return {} if opened is None else {name: seal.close(opened, *place)}


SEALED = {
    "held": _of_held,
    "quarantine": _of_quarantine,
    "log": _of_log,
    "meta": _of_meta,
    "state": _of_state,
}
