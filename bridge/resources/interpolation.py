"""`$var:path` and `$res:path` become what they name, in arguments and in resources (agent-api.md 7.1)."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from agent.wire.hidden import secrets_of
from bridge.errors import NotFound
from bridge.resources.service import Resources
from bridge.variables.service import Variables

VARIABLE: Final = "$var:"
RESOURCE: Final = "$res:"
RESERVED: Final = "$"
ITEMS_MAX: Final = 1000  # a longer array is passed on as it is
DEPTH_MAX: Final = 100  # what lies deeper is passed on as it is
LOOKUPS_MAX: Final = 1000  # for one call, and with the next line: a few resources must not unfold into
CHARS_MAX: Final = 16 * 1024 * 1024  # gigabytes by naming each other again and again (I6)
MARKS: Final = (b'"$', b"\\u0024")  # a text without these names nothing


def may_name(text: bytes) -> bool:
    """Whether JSON text can have a string in it that begins with `$`."""
    return any(mark in text for mark in MARKS)


@dataclass(frozen=True, slots=True)
class Resolved:
    text: bytes  # JSON
    secrets: Sequence[str]  # the values in it that no log may show


class Interpolation:
    def __init__(self, variables: Variables, resources: Resources) -> None:
        self._variables = variables
        self._resources = resources

    async def resource(self, workspace: str, path: str) -> bytes:
        """A resource's value with all that it names, as JSON text. Raises `NotFound` for what is missing."""
        text = (await self._resources.value(workspace, path)).encode()
        return (await self.resolved(workspace, text, {})).text if may_name(text) else text

    async def resolved(self, workspace: str, text: bytes, reserved: Mapping[str, str]) -> Resolved:
        """JSON text with all that it names. `reserved`: what `$WM_…` stands for. Raises `NotFound`."""
        walk = _Walk(self._variables, self._resources, workspace, reserved)
        try:
            found = json.dumps(await walk.value(json.loads(text), 0, ()), ensure_ascii=False).encode()
        except RecursionError:
            raise NotFound("it is nested too deeply to look for names in it") from None
        return Resolved(found, walk.secrets)


class _Walk:
    """One call: what it has looked up so far bounds what it still may."""

    def __init__(
        self, variables: Variables, resources: Resources, workspace: str, reserved: Mapping[str, str]
    ) -> None:
        self._variables = variables
        self._resources = resources
        self._workspace = workspace
        self._reserved = reserved
        self._lookups = 0
        self._chars = 0
        self.secrets: list[str] = []  # among what was found

    async def value(self, value: Any, depth: int, within: tuple[str, ...]) -> Any:
        """`within`: the resources that led here, outermost first."""
        if isinstance(value, str):
            return await self._named(value, depth, within)
        if depth >= DEPTH_MAX:
            return value
        if isinstance(value, list) and len(value) <= ITEMS_MAX:
            return [await self.value(item, depth + 1, within) for item in value]
        if isinstance(value, dict):
            return {key: await self.value(item, depth + 1, within) for key, item in value.items()}
        return value

    async def _named(self, text: str, depth: int, within: tuple[str, ...]) -> Any:
        if text.startswith(VARIABLE):
            path = text.removeprefix(VARIABLE)
            found, is_secret = await self._variables.value_and_kind(self._workspace, path)
            if is_secret:
                self.secrets.append(found)
            return self._counted(found)
        if text.startswith(RESOURCE):
            path = text.removeprefix(RESOURCE)
            if "/" not in path:
                raise NotFound(f"{path!r} is no path of a resource: it needs a / such as f/shop/till")
            if path in within:
                raise NotFound(f"resources name each other in a circle: {' → '.join((*within, path))}")
            found = self._counted(await self._resources.value(self._workspace, path))
            whole = await self.value(json.loads(found), depth + 1, (*within, path))
            self.secrets += secrets_of(whole)
            return whole
        return self._reserved.get(text.removeprefix(RESERVED), text) if text.startswith(RESERVED) else text

    def _counted(self, found: str) -> str:
        self._lookups += 1
        self._chars += len(found)
        if self._lookups > LOOKUPS_MAX or self._chars > CHARS_MAX:
            raise NotFound(
                f"more than {LOOKUPS_MAX} variables and resources, or {CHARS_MAX} characters of them"
            )
        return found
