"""A spool opened by a tool: beside its agent to look, and in its place, under its lock, to change."""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from agent.database import TooNew, open_alone
from agent.errors import SpoolLocked, SpoolUnusable, ToolRefused
from agent.reading import queries
from agent.spool.blobs import Blobs
from agent.spool.folder import Folder
from agent.spool.key_note import opened
from agent.spool.recovery import UNFINISHED
from agent.spool.sealing import Seal
from agent.spool.spool import MIGRATIONS

SQL: Final = queries(Path(__file__).with_name("tools.sql"))
MEND: Final = "start the agent: it sets aside what is damaged and carries over what can be read"


@dataclass(frozen=True, slots=True)
class Opened:
    path: Path
    db: sqlite3.Connection
    seal: Seal = field(default_factory=Seal)

    @property
    def blobs(self) -> Blobs:
        return Blobs(self.path / "blobs", self.seal)

    def document_path(self, job_id: str, attempt: int) -> Path:
        """Where the large document of this attempt's result is, if it has one."""
        return self.path / "blobs" / sha256(f"{job_id}/{attempt}".encode()).hexdigest()


@contextmanager
def to_look(path: Path, seal: Seal | None = None) -> Iterator[Opened]:
    """Everything as it is at one moment, also while the agent runs. Raises `ToolRefused`.

    `seal`: by the operator's key; without it nothing that is sealed is read.
    """
    database = _database(path)
    own = _own_seal(path, seal)
    try:
        db = sqlite3.connect(f"{database.absolute().as_uri()}?mode=ro", uri=True, isolation_level=None)
        db.row_factory = sqlite3.Row
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM sqlite_schema").fetchone()  # the moment is now
    except sqlite3.Error as error:
        raise ToolRefused(f"the spool {path} cannot be read: {error}; {MEND}.") from error
    try:
        yield Opened(path, db, own)
    finally:
        db.close()


@contextmanager
def to_change(path: Path, seal: Seal | None = None) -> Iterator[Opened]:
    """One transaction on a spool that no agent uses. Raises `ToolRefused`; then nothing has changed."""
    _database(path)
    _own_seal(path, seal)
    try:
        folder = Folder(path)
    except SpoolLocked as error:
        raise ToolRefused(f"{error} Stop the agent, then call this again.") from error
    except SpoolUnusable as error:
        raise ToolRefused(str(error)) from error
    try:
        db = open_alone(folder.database, MIGRATIONS)
        try:
            db.execute("BEGIN IMMEDIATE")
            yield Opened(path, db, _own_seal(path, seal))  # another tool may have changed it until now
            db.execute("COMMIT")
            db.executescript("PRAGMA incremental_vacuum")
            db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        finally:
            db.close()  # takes back what was not committed
    except (sqlite3.Error, TooNew) as error:
        raise ToolRefused(f"the spool {path} cannot be changed: {error}; {MEND}.") from error
    finally:
        folder.release()


@contextmanager
def refused() -> Iterator[None]:
    """What is wrong with the spool becomes `ToolRefused`."""
    try:
        yield
    except SpoolUnusable as error:
        raise ToolRefused(str(error)) from error


def _own_seal(path: Path, operator: Seal | None) -> Seal:
    with refused():
        return Seal() if operator is None else opened(path, operator)


def _database(path: Path) -> Path:
    database = path / "spool.db"
    if not database.is_file():
        raise ToolRefused(f"there is no spool in {path}; name the folder that the agent was started with.")
    if (path / UNFINISHED).exists():
        raise ToolRefused(f"a start of the spool {path} was cut off while it set its database aside; {MEND}.")
    return database
