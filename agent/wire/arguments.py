"""What `$var:`, `$res:` and `$WM_…` in a job's arguments stand for (agent-api.md 7.1)."""

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import quote

from agent.wire.agent_api import reserved_env
from agent.wire.errors import Malformed, Unresolved
from agent.wire.hidden import secrets_of

NAMED: Final = {"$var:": "variables/get_value", "$res:": "resources/get_value_interpolated"}
ENCRYPTED: Final = "$encrypted:"
RESERVED: Final = "$"
ITEMS_MAX: Final = 1000  # a longer array is passed on as it is
DEPTH_MAX: Final = 100  # what lies deeper is passed on as it is
LOOKUPS_MAX: Final = 1000  # for one job, and with the next line (I6)
CHARS_MAX: Final = 16 * 1024 * 1024

LookUp = Callable[[str], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Resolved:
    values: Mapping[str, Any]
    secrets: Sequence[str]  # among them


async def resolved(pulled: Mapping[str, Any], look_up: LookUp) -> Resolved:
    """The arguments of a JobAndPerms with all that they name, before it travels: a site may have no link.

    Which variables are secret the cluster does not say, so the job's log shows none of them.

    `look_up` asks the cluster, as the job itself, for the value at a path of its API. Raises `Unresolved`,
    which names the argument at fault, and `Malformed`.
    """
    args = pulled["job"].get("args") or {}
    if not isinstance(args, dict):
        raise Malformed("the arguments are no JSON object")
    walk = _Walk(pulled, look_up)
    found = {}
    for name, value in args.items():
        try:
            found[name] = await walk.value(value, 0)
        except Unresolved as error:
            raise Unresolved(f"argument `{name}`: {error}") from error
    return Resolved(found, walk.secrets)


class _Walk:
    def __init__(self, pulled: Mapping[str, Any], look_up: LookUp) -> None:
        job = pulled["job"]
        self._look_up = look_up
        self._workspace = str(job["workspace_id"])
        own = {
            "WM_WORKSPACE": self._workspace,
            "WM_TOKEN": str(pulled["token"]),
            "WM_JOB_ID": str(job["id"]),
        }
        self._reserved = reserved_env(pulled) | own
        self._lookups = 0
        self._chars = 0
        self.secrets: list[str] = []

    async def value(self, value: Any, depth: int) -> Any:
        if isinstance(value, str):
            return await self._named(value)
        if depth >= DEPTH_MAX:
            return value
        if isinstance(value, list) and len(value) <= ITEMS_MAX:
            return [await self.value(item, depth + 1) for item in value]
        if isinstance(value, dict):
            return {key: await self.value(item, depth + 1) for key, item in value.items()}
        return value

    async def _named(self, text: str) -> Any:
        for mark, kind in NAMED.items():
            if text.startswith(mark):
                return await self._found(kind, text.removeprefix(mark))
        if text.startswith(ENCRYPTED):
            raise Unresolved("it is encrypted, and only the cluster's own workers can read it")
        return self._reserved.get(text.removeprefix(RESERVED), text) if text.startswith(RESERVED) else text

    async def _found(self, kind: str, path: str) -> Any:
        found = await self._look_up(f"/api/w/{quote(self._workspace, safe='')}/{kind}/{quote(path)}")
        self._lookups += 1
        self._chars += len(json.dumps(found))
        if self._lookups > LOOKUPS_MAX or self._chars > CHARS_MAX:
            raise Unresolved(
                f"more than {LOOKUPS_MAX} variables and resources, or {CHARS_MAX} characters of them"
            )
        self.secrets += [found] if isinstance(found, str) else secrets_of(found)
        return found
