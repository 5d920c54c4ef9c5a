"""`agent spool seal`: what was kept before there was a key is sealed too, and no trace of it is left."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zlib import crc32

from agent.errors import ToolRefused
from agent.spool.contents import Content, Contents
from agent.spool.folder import unusable
from agent.spool.key_note import adopt_key
from agent.spool.rows import owner_of
from agent.spool.sealing import Seal, is_sealed
from agent.spool.spool import SEALED_META
from agent.spool.tools.listing import Say
from agent.spool.tools.opened import SQL, Opened, refused, to_change
from agent.wire.messages import Result


def seal_all(path: Path, say: Say, seal: Seal) -> int:
    """Large documents first, each by itself, then all rows in one commit. Called again it goes on."""
    if not seal.key_id:
        raise ToolRefused("there is no key to seal with; set SPOOL_KEY_FILE to the file that holds it.")
    with to_change(path, seal) as spool:
        with refused(), unusable(path):
            adopt_key(path, seal)
            documents = sum(map(spool.blobs.seal, list(_owners(spool))))
        spool.db.execute("PRAGMA secure_delete = ON")  # what is written over is zeroed, not left in the file
        rows = sum(_rows(spool, name) for name in ("held", "quarantine", "log", "meta"))
        spool.db.execute("COMMIT")
        spool.db.execute("VACUUM")  # what was deleted before may lie in half-empty pages
        spool.db.execute("BEGIN IMMEDIATE")  # `to_change` ends one, and then empties the log that had them
    say(f"{rows} rows and {documents} documents sealed with the key {seal.key_id}; all of it is sealed now")
    return 0


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
    for (row_id,) in spool.db.execute(SQL[f"{name}_ids"]).fetchall():
        row = spool.db.execute(SQL[f"{name}_row"], {"id": row_id}).fetchone()
        values = SEALED[name](row, spool.seal)
        if values:
            spool.db.execute(SQL[f"seal_{name}"], dict(row) | values)
            sealed += 1
    return sealed


def _closed(row: sqlite3.Row, name: str, crc: str, content: Content, seal: Seal) -> dict[str, Any]:
    """What is damaged stays so: its checksum is not made anew."""
    kept = row[name]
    if not isinstance(kept, bytes) or is_sealed(kept):
        return {}
    sealed = seal.close(kept, content, row["job_id"], row["attempt"])
    return {name: sealed, crc: crc32(sealed) if crc32(kept) == row[crc] else row[crc]}


def _of_held(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return {
        **_closed(row, "body", "body_crc", Content.BODY, seal),
        **_closed(row, "result", "result_crc", Content.RESULT, seal),
    }


def _of_quarantine(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    return _closed(row, "bytes", "crc", Content.BODY, seal)


def _of_log(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    if not isinstance(row["text"], str):
        return {}
    place = (Content.LOG, row["job_id"], row["attempt"], row["start"])
    return {"text": seal.close(row["text"].encode(), *place)}


def _of_meta(row: sqlite3.Row, seal: Seal) -> dict[str, Any]:
    if row["id"] not in SEALED_META or not isinstance(row["value"], str):
        return {}
    return {"value": seal.close(row["value"].encode(), Content.META, row["id"])}


SEALED = {"held": _of_held, "quarantine": _of_quarantine, "log": _of_log, "meta": _of_meta}
