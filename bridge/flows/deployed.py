"""Deployed flows: a path answers with its newest version, a version with exactly one (openflow.md 4)."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final

from msgspec import Meta, Raw, Struct

from agent.clock import Clock
from bridge.errors import BadRequest
from bridge.flows import status
from bridge.flows.checking import checked
from bridge.flows.definition import FlowValue, encoded, parsed
from bridge.jobs.model import FlowText, Page, Seconds, rfc3339
from bridge.jobs.tag_rules import TagRules
from bridge.store.bulletin import Bulletin, Tell
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store

SQL: Final = queries(Path(__file__).with_name("deployed.sql"))

Text = Annotated[str, Meta(min_length=1)]


class NewFlow(Struct):
    """What is deployed. Unknown keys are ignored."""

    path: Text
    value: Raw
    summary: str = ""
    description: str = ""
    schema: Raw = Raw(b"null")
    tag: str | None = None
    timeout: Seconds | None = None


class FlowFilter(Struct):
    path_start: str = ""
    path_exact: str | None = None
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 100


@dataclass(frozen=True, slots=True)
class Version:
    """What is deployed; `value` is JSON text."""

    workspace: str
    path: str
    version: int
    value: bytes
    by: str


# Sees to the locks of a version's inline steps, in the transaction that deploys it: the value to keep.
Settle = Callable[[Connection, Version, float, Tell], bytes]


def head(connection: Connection, workspace: str, path: str) -> Row:
    """Raises `NotFound`."""
    values = {"workspace_id": workspace, "path": path}
    missing = f"flow {path!r} not found in workspace {workspace}; deploy it with flows/create"
    return found(connection, SQL["head"], values, missing)


def version(connection: Connection, workspace: str, wanted: int) -> Row:
    """Raises `NotFound`."""
    values = {"workspace_id": workspace, "version": wanted}
    return found(connection, SQL["version"], values, f"flow version {wanted} not found in {workspace}")


def set_value(connection: Connection, wanted: int, value: bytes) -> None:
    """The same version with the locks of its steps."""
    connection.execute(SQL["set_value"], {"version": wanted, "value": value.decode()})


def text_of(row: Row, *, preprocess: bool = False) -> FlowText:
    """What a deployed flow runs. `preprocess`: its preprocessor, if it has one, runs first."""
    text = row["value"].encode()
    return _ready(
        parsed(text),
        text,
        preprocess=preprocess,
        kind="flow",
        path=row["path"],
        version=row["version"],
        tag=row["tag"],
        timeout_s=row["timeout_s"],
    )


def preview_of(value: bytes, path: str | None, tag: str | None) -> FlowText:
    """A flow that is run once and not deployed. Raises `BadRequest`."""
    known = checked(parsed(value))
    return _ready(known, encoded(known), kind="flowpreview", path=path, tag=tag)


def _ready(value: FlowValue, text: bytes, *, preprocess: bool = False, **row: Any) -> FlowText:
    return FlowText(
        value=text,
        status=status.encoded(status.first_status(value, preprocess=preprocess)),
        priority=value.priority,
        concurrent_limit=value.concurrent_limit or None,
        concurrency_time_window_s=value.concurrency_time_window_s,
        concurrency_key=value.concurrency_key,
        **row,
    )


def as_json(row: Row) -> dict[str, Any]:
    return {
        "workspace_id": row["workspace_id"],
        "path": row["path"],
        "version_id": row["version"],
        "summary": row["summary"],
        "description": row["description"],
        "value": Raw(row["value"].encode()),
        "schema": Raw((row["schema"] or "null").encode()),
        "edited_by": row["created_by"],
        "edited_at": rfc3339(row["created_at"]),
        "archived": bool(row["archived"]),
        "extra_perms": {},
        "tag": row["tag"],
        "timeout": row["timeout_s"],
    }


class Flows:
    def __init__(
        self, store: Store, bulletin: Bulletin, clock: Clock, tags: TagRules, settle: Settle
    ) -> None:
        self._store = store
        self._bulletin = bulletin
        self._clock = clock
        self._tags = tags
        self._settle = settle

    async def create(self, workspace: str, asked: NewFlow, by: str) -> str:
        """Deploy at a path that has none; the path. Raises `BadRequest`."""

        def write(connection: Connection, tell: Tell) -> str:
            key = {"workspace_id": workspace, "path": asked.path}
            if connection.execute(SQL["head"], key).fetchone() is not None:
                raise BadRequest(f"flow {asked.path} exists already; change it with flows/update")
            self._insert(connection, row, tell)
            return asked.path

        row = self._row(workspace, asked, by)
        return await self._bulletin.write(write)

    async def update(self, workspace: str, path: str, asked: NewFlow, by: str) -> str:
        """Deploy a new version; another `path` in it renames. Raises `BadRequest` and `NotFound`."""

        def write(connection: Connection, tell: Tell) -> str:
            head(connection, workspace, path)
            connection.execute(SQL["archive"], {"workspace_id": workspace, "path": path})
            if asked.path != path:
                _rename(connection, workspace, path, asked.path)
            self._insert(connection, row, tell)
            return asked.path

        row = self._row(workspace, asked, by)
        return await self._bulletin.write(write)

    async def get(self, workspace: str, path: str) -> dict[str, Any]:
        """Raises `NotFound`."""
        return await self._store.read(lambda connection: as_json(head(connection, workspace, path)))

    async def of_version(self, workspace: str, wanted: int) -> dict[str, Any]:
        """Raises `NotFound`."""
        return await self._store.read(lambda connection: as_json(version(connection, workspace, wanted)))

    async def exists(self, workspace: str, path: str) -> bool:
        key = {"workspace_id": workspace, "path": path}
        return await self._store.read(
            lambda connection: connection.execute(SQL["head"], key).fetchone() is not None
        )

    async def listed(self, workspace: str, wanted: FlowFilter) -> list[dict[str, Any]]:
        """Newest first."""
        values = {
            "workspace_id": workspace,
            "path_start": wanted.path_start,
            "path_exact": wanted.path_exact,
            **window(wanted),
        }
        return await self._store.read(
            lambda connection: [as_json(row) for row in connection.execute(SQL["heads"], values)]
        )

    async def archive(self, workspace: str, path: str, *, archived: bool) -> None:
        """Its path answers no more, or again. Raises `NotFound`."""

        def write(connection: Connection) -> None:
            key = {"workspace_id": workspace, "path": path}
            newest = found(connection, SQL["newest"], key, f"flow {path!r} not found in {workspace}")
            connection.execute(SQL["archive"], key)
            if not archived:
                connection.execute(SQL["revive"], {"version": newest["version"]})

        await self._store.write(write)

    async def delete(self, workspace: str, path: str) -> None:
        """With all its versions; what runs goes on. Raises `NotFound`."""

        def write(connection: Connection) -> None:
            key = {"workspace_id": workspace, "path": path}
            found(connection, SQL["newest"], key, f"flow {path!r} not found in {workspace}")
            connection.execute(SQL["delete"], key)

        await self._store.write(write)

    async def source(self, workspace: str, path: str, *, preprocess: bool = False) -> FlowText:
        """What a run of this path is to run. Raises `NotFound`."""
        return await self._store.read(
            lambda connection: text_of(head(connection, workspace, path), preprocess=preprocess)
        )

    async def source_of_version(self, workspace: str, wanted: int, *, preprocess: bool = False) -> FlowText:
        """Raises `NotFound`."""
        return await self._store.read(
            lambda connection: text_of(version(connection, workspace, wanted), preprocess=preprocess)
        )

    def _insert(self, connection: Connection, row: Mapping[str, Any], tell: Tell) -> None:
        made: int = connection.execute(SQL["insert"], row).fetchone()["version"]
        value = row["value"].encode()
        deployed = Version(row["workspace_id"], row["path"], made, value, row["created_by"])
        with_locks = self._settle(connection, deployed, row["created_at"], tell)
        if with_locks != value:
            set_value(connection, made, with_locks)

    def _row(self, workspace: str, asked: NewFlow, by: str) -> dict[str, Any]:
        self._tags.require(workspace, asked.tag)
        return {
            "workspace_id": workspace,
            "path": asked.path,
            "summary": asked.summary,
            "description": asked.description,
            "value": encoded(checked(parsed(bytes(asked.value)))).decode(),
            "schema": bytes(asked.schema).decode(),
            "tag": asked.tag or None,
            "timeout_s": asked.timeout,
            "created_by": by,
            "created_at": self._clock.wall_s(),
        }


def _rename(connection: Connection, workspace: str, path: str, new_path: str) -> None:
    taken = {"workspace_id": workspace, "path": new_path}
    if connection.execute(SQL["head"], taken).fetchone() is not None:
        raise BadRequest(f"flow {new_path} exists already; choose another path")
    connection.execute(SQL["rename"], {"workspace_id": workspace, "path": path, "new_path": new_path})
