"""Who may say a word to a flow that waits for people: what its steps ask of them (openflow.md 2.4)."""

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.errors import NotAuthorized, PermissionDenied
from bridge.flows.definition import Static, Suspend, parsed
from bridge.store.rows import found
from bridge.store.statements import queries
from bridge.store.store import Connection, Store
from bridge.tokens.model import Identity

SQL: Final = queries(Path(__file__).with_name("sayers.sql"))
NO_GROUPS: Final = (b"null", b"[]")


@dataclass(frozen=True, slots=True)
class _Wait:
    """Of a step after which a word may be waited for: who started its flow, and what it asks."""

    owner: str
    rule: Suspend


class Sayers:
    def __init__(self, store: Store) -> None:
        self._store = store

    async def require_holder(self, workspace: str, job_id: str, who: Identity | None) -> None:
        """Of a link for this job: a step's, or a flow's. `who`: None has not logged in.

        A link counts before its step waits too, so what holds is what the flow's text says. A superadmin may
        always. Raises `NotAuthorized` and `PermissionDenied`.
        """
        waits = await self._store.read(lambda connection: _waits(connection, workspace, job_id))
        asking = [wait for wait in waits if _asks(wait.rule)]
        if not asking or (who is not None and who.superadmin):
            return
        if who is None:
            raise NotAuthorized("this flow is answered by people who have logged in: send your token too")
        if any(_names_groups(wait.rule) for wait in asking):
            raise PermissionDenied(
                "this flow is answered by groups, and there are none here: an administrator may answer"
            )
        if any(wait.rule.self_approval_disabled and wait.owner == who.username for wait in asking):
            raise PermissionDenied("who started this flow may not approve it")

    async def require_owner(self, workspace: str, flow_id: str, who: Identity) -> None:
        """Without a link: whoever started the flow, where its steps do not forbid it, or a superadmin.

        Raises `PermissionDenied` and `NotFound`.
        """
        key = {"id": flow_id, "workspace_id": workspace}
        missing = f"flow {flow_id} not found in workspace {workspace}"
        row = await self._store.read(lambda connection: found(connection, SQL["as_flow"], key, missing))
        if not who.superadmin and who.username != row["created_by"]:
            raise PermissionDenied("only who started this flow, or an administrator, answers without a link")
        await self.require_holder(workspace, flow_id, who)


def _waits(connection: Connection, workspace: str, job_id: str) -> list[_Wait]:
    """What a word for this job may be for."""
    key = {"id": job_id, "workspace_id": workspace}
    step = connection.execute(SQL["as_step"], key).fetchone()
    flow = connection.execute(SQL["as_flow"], key).fetchone()
    after_it = [] if step is None else _rules(step["value"], only=step["step_id"])
    in_it = [] if flow is None else _rules(flow["value"])
    return [
        *(_Wait(step["created_by"], rule) for rule in after_it),
        *(_Wait(flow["created_by"], rule) for rule in in_it),
    ]


def _rules(value: str, only: str | None = None) -> list[Suspend]:
    modules = parsed(value.encode()).modules
    return [one.suspend for one in modules if one.suspend is not None and only in (None, one.id)]


def _asks(rule: Suspend) -> bool:
    return rule.user_auth_required or rule.self_approval_disabled or _names_groups(rule)


def _names_groups(rule: Suspend) -> bool:
    groups = rule.user_groups_required
    return groups is not None and not (isinstance(groups, Static) and bytes(groups.value) in NO_GROUPS)
