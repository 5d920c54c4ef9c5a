"""The workspaces' schedules in the store, and the timer that lives by them."""

import asyncio
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import msgspec
import structlog
from msgspec import Raw

from agent.clock import Clock
from agent.database import WriteFailed
from bridge.errors import BadRequest, NotFound
from bridge.jobs.model import rfc3339
from bridge.jobs.news import READY
from bridge.jobs.push import checked_args
from bridge.jobs.tag_rules import TagRules
from bridge.schedules import cron, ticks
from bridge.schedules.model import (
    UPCOMING,
    NewScheduleAsSent,
    ScheduleChangeAsSent,
    ScheduleFilter,
    ScheduleRow,
    ScheduleTiming,
    require_served,
    require_v2,
)
from bridge.store.bulletin import Bulletin, Note, Tell
from bridge.store.pages import window
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store, Taken
from bridge.tokens.model import Identity
from bridge.variables.model import checked_path

SQL: Final = queries(Path(__file__).with_name("schedules.sql"))
DISK_RETRY_S: Final = 5.0
CHANGED: Final = Note("schedules")
LOOK_AGAIN_S: Final = 60.0  # the wall clock may be set, and a timer does not notice

log = structlog.get_logger()


class Schedules:
    """Who edits a schedule last is whom its jobs run as."""

    def __init__(self, store: Store, bulletin: Bulletin, clock: Clock, tags: TagRules) -> None:
        self._store = store
        self._clock = clock
        self._tags = tags
        self._changed = asyncio.Event()
        self._bulletin = bulletin
        bulletin.on(CHANGED.kind, lambda _: self._changed.set(), self._changed.set)

    async def create(self, workspace: str, asked: NewScheduleAsSent, identity: Identity) -> None:
        """Raises `BadRequest`."""
        enabled = bool(asked.enabled)
        values = self._values(workspace, asked, identity)
        row = values | {
            "path": checked_path(asked.path),
            "script_path": asked.script_path,
            "is_flow": int(asked.is_flow or False),
            "enabled": enabled,
            "next_tick": values["next_tick"] if enabled else None,
        }

        def write(connection: Connection, tell: Tell) -> None:
            connection.execute(SQL["add"], row)
            tell(CHANGED)

        try:
            await self._bulletin.write(write)
        except Taken:
            raise BadRequest(
                f"schedule {asked.path} exists already; change it with schedules/update"
            ) from None

    async def update(
        self, workspace: str, path: str, asked: ScheduleChangeAsSent, identity: Identity
    ) -> None:
        """Raises `NotFound` and `BadRequest`."""
        await self._one_row("change", path, self._values(workspace, asked, identity))

    async def set_enabled(self, workspace: str, path: str, identity: Identity, *, enabled: bool) -> None:
        """Raises `NotFound`. Ticks from before it was enabled are not made up for."""
        now_s = self._clock.wall_s()
        editor = {"edited_by": identity.username, "edited_at": now_s, "email": identity.email}
        key = {"workspace_id": workspace, "path": path}

        def write(connection: Connection, tell: Tell) -> None:
            row = _found(connection, workspace, path)
            timing = cron.parsed(row["schedule"], row["timezone"])
            next_tick = timing.next_after(max(now_s, row["paused_until"] or 0)) if enabled else None
            values = {**key, **editor, "enabled": enabled, "next_tick": next_tick}
            connection.execute(SQL["enable"], values)
            tell(CHANGED)

        await self._bulletin.write(write)

    async def delete(self, workspace: str, path: str) -> None:
        """Raises `NotFound`."""
        await self._one_row("remove", path, {"workspace_id": workspace})

    async def one(self, workspace: str, path: str) -> ScheduleRow:
        """Raises `NotFound`."""
        return _as_row(await self._store.read(lambda connection: _found(connection, workspace, path)))

    async def exists(self, workspace: str, path: str) -> bool:
        try:
            await self.one(workspace, path)
        except NotFound:
            return False
        return True

    async def listed(self, workspace: str, wanted: ScheduleFilter) -> list[ScheduleRow]:
        """The one edited last comes first."""
        values = {
            "workspace_id": workspace,
            "path_start": wanted.path_start,
            "script_path": wanted.path,
            "is_flow": None if wanted.is_flow is None else int(wanted.is_flow),
            **window(wanted),
        }
        return await self._store.read(
            lambda connection: [_as_row(row) for row in connection.execute(SQL["listed"], values)]
        )

    def upcoming(self, asked: ScheduleTiming) -> list[str | None]:
        """The next ticks. Raises `BadRequest`."""
        require_v2(asked)
        timing, at_s = cron.parsed(asked.schedule, asked.timezone), self._clock.wall_s()
        found: list[str | None] = []
        while len(found) < UPCOMING and (next_s := timing.next_after(at_s)) is not None:
            at_s = next_s
            found.append(rfc3339(at_s))
        return found

    async def run(self) -> None:
        """For ever: sleep until the next tick, then push what is due."""
        while True:
            self._changed.clear()
            try:
                sleep_s = await self._until_next_tick()
                if sleep_s <= 0:
                    await self.fire_due()
                    continue
            except WriteFailed as error:  # nothing was kept, so the ticks are due still
                log.warning("schedules.wait_for_the_disk", reason=str(error))
                sleep_s = DISK_RETRY_S
            with suppress(TimeoutError):
                async with asyncio.timeout(sleep_s):
                    await self._changed.wait()

    async def fire_due(self) -> None:
        """Push the jobs of all ticks that are due."""
        due, now_s = ticks.AT_MOST, self._clock.wall_s()

        def write(connection: Connection, tell: Tell) -> int:
            if fired := ticks.fire_due(connection, self._tags, now_s):
                tell(READY)
            return fired

        while due == ticks.AT_MOST:
            due = await self._bulletin.write(write)

    async def _until_next_tick(self) -> float:
        next_s = await self._store.read(_next_tick)
        return LOOK_AGAIN_S if next_s is None else min(next_s - self._clock.wall_s(), LOOK_AGAIN_S)

    def _values(
        self, workspace: str, asked: NewScheduleAsSent | ScheduleChangeAsSent, identity: Identity
    ) -> dict[str, Any]:
        retry = require_served(asked)
        self._tags.require(workspace, asked.tag)
        now_s, args = self._clock.wall_s(), bytes(asked.args)
        paused_until = None if asked.paused_until is None else asked.paused_until.timestamp()
        next_tick = cron.parsed(asked.schedule, asked.timezone).next_after(max(now_s, paused_until or 0))
        if next_tick is None:
            raise BadRequest(f"schedule {asked.schedule!r} never comes")
        return {
            "workspace_id": workspace,
            "schedule": asked.schedule,
            "is_flow": None if asked.is_flow is None else int(asked.is_flow),
            "timezone": asked.timezone,
            "args": args.decode() if checked_args(args) else "{}",
            "summary": asked.summary,
            "description": asked.description,
            "tag": asked.tag or None,
            "retry": None if retry is None else msgspec.json.encode(retry).decode(),
            "no_flow_overlap": bool(asked.no_flow_overlap),
            "paused_until": paused_until,
            "edited_by": identity.username,
            "edited_at": now_s,
            "email": identity.email,
            "next_tick": next_tick,
        }

    async def _one_row(self, query: str, path: str, values: dict[str, Any]) -> None:
        def write(connection: Connection, tell: Tell) -> None:
            found(connection, SQL[query], {**values, "path": path}, _missing(values["workspace_id"], path))
            tell(CHANGED)

        await self._bulletin.write(write)


def _found(connection: Connection, workspace: str, path: str) -> Row:
    values = {"workspace_id": workspace, "path": path}
    return found(connection, SQL["one"], values, _missing(workspace, path))


def _missing(workspace: str, path: str) -> str:
    return f"schedule {path!r} not found in workspace {workspace}"


def _next_tick(connection: Connection) -> float | None:
    (next_s,) = connection.execute(SQL["next_tick"]).fetchone()
    return None if next_s is None else float(next_s)


def _as_row(row: Row) -> ScheduleRow:
    same = (
        "workspace_id", "path", "edited_by", "schedule", "timezone", "script_path", "email", "error",
        "summary", "description", "tag",
    )  # fmt: skip
    return ScheduleRow(
        **{name: row[name] for name in same},
        edited_at=rfc3339(row["edited_at"]),
        enabled=bool(row["enabled"]),
        is_flow=bool(row["is_flow"]),
        args=Raw(row["args"].encode()),
        permissioned_as=f"u/{row['edited_by']}",
        retry=None if row["retry"] is None else Raw(row["retry"].encode()),
        no_flow_overlap=bool(row["no_flow_overlap"]),
        paused_until=rfc3339(row["paused_until"]),
    )
