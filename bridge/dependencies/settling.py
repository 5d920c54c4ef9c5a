"""Sees to the lock of a script that is deployed, in the transaction that deploys it.

What needs nothing that would have to be looked up has its lock at once, with no job: such a script runs
although no normal worker is there. For the rest a job is pushed, and for all that import the script.
"""

from collections.abc import Iterator, Mapping
from typing import Final

import msgspec
import structlog

from bridge.dependencies.errors import NotResolved
from bridge.dependencies.finding import find_in
from bridge.dependencies.gathering import imported_by, request_of
from bridge.dependencies.locks import NOTHING, RESOLVED, SQL, hash_of
from bridge.jobs import push
from bridge.jobs.model import Order, RunOptions, ToResolve
from bridge.jobs.news import Kind
from bridge.jobs.scripts import Author
from bridge.jobs.tag_rules import TagRules
from bridge.store.bulletin import Note, Tell
from bridge.store.store import Connection, Row

TAG: Final = "dependency"
LOCKED: Final = "locked"  # the kind of a note whose name is a lock's hash: it was not known before
IMPORTERS_MAX: Final = 1000  # that one deployment has looked at again (I6)
BY_IMPORT: Final = "triggered_by_relative_import"

log = structlog.get_logger()


class Settling:
    def __init__(self, tags: TagRules) -> None:
        self._tags = tags

    def settle(
        self,
        connection: Connection,
        workspace: str,
        script_hash: str,
        author: Author,
        now_s: float,
        tell: Tell,
    ) -> None:
        """The lock of a version that was just deployed, and of what imports it."""
        script = _version(connection, workspace, script_hash)
        _note_imports(connection, workspace, script)
        if script["lock_given"]:
            tell(Note(LOCKED, hash_of(script["lock"])))
        else:
            self._lock(connection, workspace, script, author, {}, now_s, tell)
        path: str = script["path"]
        for importer in _importers(connection, workspace, path):
            why = {BY_IMPORT: True, "parent_path": path}
            self._lock(connection, workspace, importer, author, why, now_s, tell)

    def _lock(
        self,
        connection: Connection,
        workspace: str,
        script: Row,
        author: Author,
        why: Mapping[str, object],
        now_s: float,
        tell: Tell,
    ) -> None:
        lock = settled(connection, workspace, script)
        key = {"workspace_id": workspace, "hash": script["hash"]}
        if lock is not None:
            connection.execute(SQL["set_lock"], {**key, "lock": lock, "job_id": None})
            return
        source = ToResolve(
            kind="dependencies",
            tag=self.tag(workspace),
            language=script["language"],
            path=script["path"],
            script_hash=script["hash"],
        )
        job_id = self.push(connection, workspace, source, author, why, now_s, tell)
        connection.execute(SQL["await_lock"], {**key, "job_id": job_id})

    def tag(self, workspace: str) -> str:
        """Of the jobs that resolve. Never a script's own: that would lead to an agent, and none can do it."""
        return self._tags.default(TAG, workspace)

    def push(
        self,
        connection: Connection,
        workspace: str,
        source: ToResolve,
        author: Author,
        args: Mapping[str, object],
        now_s: float,
        tell: Tell,
    ) -> str:
        """The new job's id."""
        job_id, lane = push.push(connection, order(workspace, source, author, args), self._tags, now_s)
        tell(Note(Kind.PUSHED, lane))
        return job_id


def order(workspace: str, source: ToResolve, author: Author, args: Mapping[str, object]) -> Order:
    return Order(
        workspace=workspace,
        source=source,
        args=msgspec.json.encode(args),
        options=RunOptions(),
        created_by=author.username,
        permissioned_as=f"u/{author.username}",
        email=author.email,
    )


def settled(connection: Connection, workspace: str, script: Row) -> str | None:
    """The lock, where nothing has to be looked up for it; None: a job must."""
    language: str = script["language"]
    if language not in RESOLVED:
        return NOTHING
    try:
        find = find_in(connection, workspace, language)
        return request_of(language, script["content"], script["path"], find).settled()
    except NotResolved:
        return None  # the job says why, where its author looks


def _version(connection: Connection, workspace: str, script_hash: str) -> Row:
    row: Row = connection.execute(SQL["version"], {"workspace_id": workspace, "hash": script_hash}).fetchone()
    return row


def _note_imports(connection: Connection, workspace: str, script: Row) -> None:
    key = {"workspace_id": workspace, "importer": script["path"]}
    connection.execute(SQL["forget_imports"], key)
    if script["language"] in RESOLVED:
        find = find_in(connection, workspace, script["language"])
        for path in imported_by(script["language"], script["content"], script["path"], find):
            connection.execute(SQL["note_import"], {**key, "imported": path})


def _importers(connection: Connection, workspace: str, path: str) -> Iterator[Row]:
    """All that import it, by however many others, whose locks we resolve; each once, and not itself."""
    met, waiting = {path}, [path]
    while waiting:
        values = {"workspace_id": workspace, "imported": waiting.pop()}
        for row in connection.execute(SQL["importers"], values).fetchall():
            if row["path"] in met:
                continue
            if len(met) > IMPORTERS_MAX:
                log.warning("lock.too_many_importers", workspace=workspace, path=path, most=IMPORTERS_MAX)
                return
            met.add(row["path"])
            waiting.append(row["path"])
            if not row["lock_given"] and row["language"] in RESOLVED:
                yield row
