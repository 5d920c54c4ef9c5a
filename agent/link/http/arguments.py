"""What `$var:`, `$res:` and `$WM_…` in arguments stand for, asked with the job's token (agent-api.md 7.1)."""

from collections.abc import Mapping
from typing import Any, Final

from agent.errors import Unwanted
from agent.link.http.api import Api
from agent.wire.agent_api import reserved_env

VARIABLE: Final = "$var:"
RESOURCE: Final = "$res:"
RESERVED: Final = "$"
ITEMS_MAX: Final = 1000  # a longer array is passed on as it is
DEPTH_MAX: Final = 100  # what lies deeper is passed on as it is
LOOKUPS_MAX: Final = 1000  # for one job (I6)


async def resolved(api: Api, pulled: Mapping[str, Any]) -> dict[str, Any]:
    """The job's arguments, before it is held: when it starts there may be no link. Raises `Unwanted`."""
    walk = _Walk(api, pulled)
    found = {}
    for name, value in (pulled["job"].get("args") or {}).items():
        try:
            found[name] = await walk.value(value, 0)
        except Unwanted as error:
            raise Unwanted(f"argument `{name}`: {error}") from error
    return found


class _Walk:
    def __init__(self, api: Api, pulled: Mapping[str, Any]) -> None:
        job = pulled["job"]
        self._api = api
        self._workspace = str(job["workspace_id"])
        self._token = str(pulled["token"])
        own = {"WM_WORKSPACE": self._workspace, "WM_TOKEN": self._token, "WM_JOB_ID": str(job["id"])}
        self._reserved = reserved_env(job) | own
        self._lookups = 0

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
        for mark, kind in ((VARIABLE, "variables/get_value"), (RESOURCE, "resources/get_value_interpolated")):
            if text.startswith(mark):
                self._lookups += 1
                if self._lookups > LOOKUPS_MAX:
                    raise Unwanted(f"more than {LOOKUPS_MAX} variables and resources")
                return await self._api.named_value(
                    self._workspace, kind, text.removeprefix(mark), self._token
                )
        return self._reserved.get(text.removeprefix(RESERVED), text) if text.startswith(RESERVED) else text
