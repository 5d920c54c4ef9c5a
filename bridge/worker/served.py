"""The tags that a normal worker serves now."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from agent.database import WriteFailed
from bridge.jobs.lanes import is_reserved
from bridge.jobs.tag_rules import TagRules

LOOK_S: Final = 30.0  # for workspaces that are new

log = structlog.get_logger()


class Served:
    """What it was given, and for workspaces with default tags of their own their `flow-…`, `dependency-…`."""

    def __init__(
        self, given: Sequence[str], rules: TagRules, workspaces: Callable[[], Awaitable[Sequence[str]]]
    ) -> None:
        """`workspaces`: the ids of all there are."""
        self._given = list(dict.fromkeys(given))
        self._rules = rules
        self._workspaces = workspaces
        self._now = self._given

    def now(self) -> Sequence[str]:
        return self._now

    async def look(self) -> None:
        if not self._rules.has_own_defaults:
            return
        try:
            known = await self._workspaces()
        except WriteFailed as error:
            log.warning("workspaces.not_known", reason=str(error))
            return
        reserved = [tag for tag in self._given if is_reserved(tag)]
        own = [self._rules.default(tag, workspace) for workspace in known for tag in reserved]
        self._now = list(dict.fromkeys([*self._given, *own]))

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.look()
            await asyncio.sleep(LOOK_S)
