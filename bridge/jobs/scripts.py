"""Deployed scripts: a path answers with its newest version, a hash with exactly one.

By its path a script runs once it has its lock; until then the version before it does (openflow.md 6.2).
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct

from agent.clock import Clock
from bridge.errors import BadRequest, NotFound
from bridge.jobs.ids import script_hash
from bridge.jobs.model import Delivery, LostAfter, Page, Priority, Replace, Seconds, rfc3339
from bridge.jobs.tag_rules import TagRules
from bridge.store.bulletin import Bulletin, Tell
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("scripts.sql"))

ENDING: Final = re.compile(r"\.[A-Za-z0-9]+$")  # of a file

Text = Annotated[str, Meta(min_length=1)]


class NewScript(Struct):
    path: Text
    content: str
    language: Text
    summary: str = ""
    description: str = ""
    tag: str | None = None
    lock: str | None = None
    schema: Any = None
    timeout: Seconds | None = None
    priority: Priority | None = None
    delivery: Delivery | None = None
    lost_after: LostAfter | None = None
    replace: Replace | None = None
    concurrent_limit: Annotated[int, Meta(ge=1, le=2**31 - 1)] | None = None
    concurrency_time_window_s: Seconds | None = None  # 0 or none: only what runs counts
    concurrency_key: str | None = None
    parent_hash: str | None = None


class NewScriptAsSent(NewScript):
    """As `NewScript`, with the schema unread: its text is kept as it came."""

    schema: Raw = Raw(b"null")


class ScriptFilter(Struct):
    path_start: str = ""
    path_exact: str | None = None
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 100


def head(connection: Connection, workspace: str, path: str) -> Row:
    """Raises `NotFound`."""
    values = {"workspace_id": workspace, "path": path}
    missing = f"script {path!r} not found in workspace {workspace}; deploy it with scripts/create"
    return found(connection, SQL["head"], values, missing)


@dataclass(frozen=True, slots=True)
class Author:
    """Who deploys."""

    username: str
    email: str


# Sees to the lock of the version with this hash, in the transaction that deploys it.
Settle = Callable[[Connection, str, str, Author, float, Tell], None]


def runnable(connection: Connection, workspace: str, path: str) -> Row:
    """The newest version whose dependencies are known. Raises `NotFound`, which says what it waits for."""
    newest = head(connection, workspace, path)
    values = {"workspace_id": workspace, "path": path}
    row: Row | None = connection.execute(SQL["runnable"], values).fetchone()
    if row is None:
        raise NotFound(f"deployed script not found: {path}: {why_without_lock(connection, newest)}")
    return row


def is_without_lock(row: Row) -> bool:
    """Whether its dependencies are to be resolved and have never been."""
    return row["lock"] is None and row["lock_job"] is not None


def why_without_lock(connection: Connection, row: Row) -> str:
    if row["lock_error_logs"] is not None:
        return f"its dependencies could not be resolved: {row['lock_error_logs']}"
    job_id = row["lock_job"]
    if not _may_be_resolved(connection, row):
        return f"the job that was to resolve its dependencies, {job_id}, came to nothing; deploy it again"
    return (
        f"its dependencies are being resolved by job {job_id}; run it again once that has ended "
        "(a normal worker does it, one that serves the tag dependency)"
    )


def lock_error(connection: Connection, row: Row) -> str | None:
    """What people are told of a lock that there is none of, and will not be by itself."""
    if row["lock_error_logs"] is None and is_without_lock(row) and not _may_be_resolved(connection, row):
        return why_without_lock(connection, row)
    error: str | None = row["lock_error_logs"]
    return error


def _may_be_resolved(connection: Connection, row: Row) -> bool:
    found = connection.execute(SQL["lock_job"], {"id": row["lock_job"]}).fetchone()
    return found is not None and found["state"] is not None


def version(connection: Connection, workspace: str, wanted: str) -> Row:
    """Raises `NotFound`."""
    values = {"workspace_id": workspace, "hash": wanted}
    missing = f"script hash {wanted!r} not found in workspace {workspace}; it has 16 hex digits"
    return found(connection, SQL["version"], values, missing)


def as_json(row: Row) -> dict[str, Any]:
    return {
        "workspace_id": row["workspace_id"],
        "hash": row["hash"],
        "path": row["path"],
        "parent_hashes": [row["parent_hash"]] if row["parent_hash"] else [],
        "summary": row["summary"],
        "description": row["description"],
        "content": row["content"],
        "created_by": row["created_by"],
        "created_at": rfc3339(row["created_at"]),
        "archived": bool(row["archived"]),
        "deleted": False,
        "is_template": False,
        "schema": Raw((row["schema"] or "null").encode()),
        "extra_perms": {},
        "lock": row["lock"],
        "lock_error_logs": row["lock_error_logs"],
        "lock_job": row["lock_job"],
        "language": row["language"],
        "kind": "script",
        "tag": row["tag"],
        "timeout": row["timeout_s"],
        "priority": row["priority"],
        "delivery": row["delivery"],
        "lost_after": row["lost_after_s"],
        "replace": row["replace"],
        "concurrent_limit": row["concurrent_limit"],
        "concurrency_time_window_s": row["concurrency_time_window_s"],
        "concurrency_key": row["concurrency_key"],
    }


class Scripts:
    def __init__(
        self, store: Store, bulletin: Bulletin, clock: Clock, tags: TagRules, settle: Settle
    ) -> None:
        self._tags = tags
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._settle = settle

    async def create(self, workspace: str, asked: NewScript, author: Author) -> str:
        """Deploy; the hash. The same script again changes nothing, but that a failed lock is tried again.

        Raises `BadRequest`.
        """
        self._tags.require(workspace, asked.tag)
        now_s = self._clock.wall_s()

        def write(connection: Connection, tell: Tell) -> str:
            made, has_work = _create(connection, workspace, asked, author.username, now_s)
            if has_work:
                self._settle(connection, workspace, made, author, now_s, tell)
            return made

        return await self._bulletin.write(write)

    async def at_path(self, workspace: str, path: str) -> dict[str, Any]:
        return await self._store.read(lambda connection: as_json(head(connection, workspace, path)))

    async def of_hash(self, workspace: str, wanted: str) -> dict[str, Any]:
        return await self._store.read(lambda connection: as_json(version(connection, workspace, wanted)))

    async def content_at(self, workspace: str, path: str) -> str:
        """Its code; `path` may end as its file would: `f/shop/prices.py`. Raises `NotFound`."""
        bare = ENDING.sub("", path)

        def read(connection: Connection) -> str:
            named = connection.execute(SQL["head"], {"workspace_id": workspace, "path": path}).fetchone()
            return str((named or head(connection, workspace, bare))["content"])

        return await self._store.read(read)

    async def unready(self, workspace: str, path: str) -> str | None:
        """Why the newest version does not run yet; None: it does. Raises `NotFound`."""

        def read(connection: Connection) -> str | None:
            row = head(connection, workspace, path)
            return why_without_lock(connection, row) if is_without_lock(row) else None

        return await self._store.read(read)

    async def lock_at_path(self, workspace: str, path: str) -> tuple[str | None, str | None, str | None]:
        """The lock, why there is none, and the job that resolves it. Raises `NotFound`."""
        return await self._store.read(lambda connection: _lock(connection, head(connection, workspace, path)))

    async def lock_of_hash(self, workspace: str, wanted: str) -> tuple[str | None, str | None, str | None]:
        """As `lock_at_path`."""
        return await self._store.read(
            lambda connection: _lock(connection, version(connection, workspace, wanted))
        )

    async def heads(self, workspace: str, wanted: ScriptFilter) -> list[dict[str, Any]]:
        values = {
            "workspace_id": workspace,
            "path_start": wanted.path_start,
            "path_exact": wanted.path_exact,
            **window(wanted),
        }
        return await self._store.read(
            lambda connection: [as_json(row) for row in connection.execute(SQL["heads"], values)]
        )


def _lock(connection: Connection, row: Row) -> tuple[str | None, str | None, str | None]:
    return row["lock"], lock_error(connection, row), row["lock_job"]


def _create(
    connection: Connection, workspace: str, asked: NewScript, created_by: str, now_s: float
) -> tuple[str, bool]:
    """The hash, and whether its lock is to be seen to."""
    key = {"workspace_id": workspace, "path": asked.path}
    current: Row | None = connection.execute(SQL["head"], key).fetchone()
    row = {
        **key,
        "summary": asked.summary,
        "description": asked.description,
        "content": asked.content,
        "language": asked.language,
        "tag": asked.tag or None,
        "schema": bytes(asked.schema).decode() if isinstance(asked.schema, Raw) else None,
        "timeout_s": asked.timeout,
        "priority": asked.priority,
        "delivery": asked.delivery,
        "lost_after_s": asked.lost_after,
        "replace": asked.replace,
        "concurrent_limit": asked.concurrent_limit,
        "concurrency_time_window_s": asked.concurrency_time_window_s,
        "concurrency_key": asked.concurrency_key or None,
    }
    lock = {"lock": asked.lock or None, "lock_given": int(bool(asked.lock))}
    same = {**row, "lock_given": lock["lock_given"]} | ({"lock": asked.lock} if asked.lock else {})
    if current is not None and all(current[name] == value for name, value in same.items()):
        return str(current["hash"]), lock_error(connection, current) is not None
    if asked.parent_hash and (current is None or current["hash"] != asked.parent_hash):
        raise BadRequest(
            f"parent_hash {asked.parent_hash} is not the newest version of {asked.path}; "
            "fetch it with scripts/get/p and deploy on top of it"
        )
    parent = None if current is None else current["hash"]
    told = (None if value is None else str(value) for value in (*row.values(), lock["lock"]))
    row["hash"] = script_hash(parent, *told)
    connection.execute(SQL["archive"], key)
    connection.execute(
        SQL["insert"], {**row, **lock, "parent_hash": parent, "created_by": created_by, "created_at": now_s}
    )
    return str(row["hash"]), True
