"""Deployed scripts: a path answers with its newest version, a hash with exactly one."""

from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct

from agent.clock import Clock
from bridge.errors import BadRequest
from bridge.jobs.ids import script_hash
from bridge.jobs.model import Delivery, LostAfter, Page, Priority, Replace, Seconds, rfc3339
from bridge.jobs.tag_rules import TagRules
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("scripts.sql"))

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
    def __init__(self, store: Store, clock: Clock, tags: TagRules) -> None:
        self._tags = tags
        self._store = store
        self._clock = clock

    async def create(self, workspace: str, asked: NewScript, created_by: str) -> str:
        """Deploy; the hash. The same script again changes nothing. Raises `BadRequest`."""
        self._tags.require(workspace, asked.tag)
        now_s = self._clock.wall_s()
        return await self._store.write(
            lambda connection: _create(connection, workspace, asked, created_by, now_s)
        )

    async def at_path(self, workspace: str, path: str) -> dict[str, Any]:
        return await self._store.read(lambda connection: as_json(head(connection, workspace, path)))

    async def of_hash(self, workspace: str, wanted: str) -> dict[str, Any]:
        return await self._store.read(lambda connection: as_json(version(connection, workspace, wanted)))

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


def _create(connection: Connection, workspace: str, asked: NewScript, created_by: str, now_s: float) -> str:
    key = {"workspace_id": workspace, "path": asked.path}
    current: Row | None = connection.execute(SQL["head"], key).fetchone()
    row = {
        **key,
        "summary": asked.summary,
        "description": asked.description,
        "content": asked.content,
        "language": asked.language,
        "tag": asked.tag or None,
        "lock": asked.lock,
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
    if current is not None and all(current[name] == value for name, value in row.items()):
        return str(current["hash"])
    if asked.parent_hash and (current is None or current["hash"] != asked.parent_hash):
        raise BadRequest(
            f"parent_hash {asked.parent_hash} is not the newest version of {asked.path}; "
            "fetch it with scripts/get/p and deploy on top of it"
        )
    parent = None if current is None else current["hash"]
    row["hash"] = script_hash(parent, *(None if value is None else str(value) for value in row.values()))
    connection.execute(SQL["archive"], key)
    connection.execute(
        SQL["insert"], {**row, "parent_hash": parent, "created_by": created_by, "created_at": now_s}
    )
    return str(row["hash"])
