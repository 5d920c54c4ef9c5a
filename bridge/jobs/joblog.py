"""A job's text in the store: appended in pieces, once each, in order (I5)."""

from pathlib import Path
from typing import Final

from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("joblog.sql"))
LOG_MAX_CHARS: Final = 16 * 1024 * 1024  # for one job (I6)
LIMIT_MARK: Final = f"\n[... what follows is dropped: log limit of {LOG_MAX_CHARS} characters ...]\n"


def append_once(connection: Connection, job_id: str, text: str, writer: str, offset: int) -> None:
    """Append what of `text` is new; `offset` is the number of characters of the writer's stream before it.

    A repeated piece changes nothing, an overlapping one adds its rest, a gap is marked.
    """
    key = {"job_id": job_id, "writer": writer}
    row = connection.execute(SQL["written"], key).fetchone()
    written = 0 if row is None else row["chars"]
    if offset + len(text) <= written:
        return
    fresh = text[max(0, written - offset) :]
    if offset > written:
        fresh = f"\n[... {offset - written} characters dropped: lost on the way ...]\n{fresh}"
    append(connection, job_id, fresh)
    connection.execute(SQL["remember"], {**key, "chars": offset + len(text)})


def append(connection: Connection, job_id: str, text: str) -> None:
    """Append `text`, without what a text column cannot hold; at the limit a mark, then nothing."""
    row = connection.execute(SQL["length"], {"job_id": job_id}).fetchone()
    length = 0 if row is None else row["chars"]
    if length >= LOG_MAX_CHARS:
        return
    piece = text.replace("\0", "").encode(errors="replace").decode()
    if length + len(piece) >= LOG_MAX_CHARS:
        piece = piece[: LOG_MAX_CHARS - length] + LIMIT_MARK
    if not piece:
        return
    connection.execute(SQL["add_piece"], {"job_id": job_id, "at": length, "text": piece})
    connection.execute(SQL["set_length"], {"job_id": job_id, "chars": length + len(piece)})


def read_from(connection: Connection, job_id: str, offset: int) -> tuple[str, int]:
    """The text after `offset` characters, and the number of characters there are."""
    pieces = connection.execute(SQL["pieces"], {"job_id": job_id, "offset": offset}).fetchall()
    if not pieces:
        return "", 0
    text = "".join(piece["text"] for piece in pieces)
    first: int = pieces[0]["at"]
    return text[max(0, offset - first) :], first + len(text)
