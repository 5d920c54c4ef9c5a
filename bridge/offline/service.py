"""What a job takes along to a site, because it may have no link there when it asks."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.sealed_values import seal
from agent.wire.agent_api import state_path
from agent.wire.claims import JobId
from bridge.errors import NotFound
from bridge.jobs.model import Pulled
from bridge.jobs.states import last_state
from bridge.offline.names import RESOURCE, VARIABLE, asks_for_state, named_in
from bridge.resources.interpolation import Interpolation
from bridge.resources.service import Resources
from bridge.store.store import Store
from bridge.variables.service import Variables
from bridge.variables.vault import Unreadable

DEVICES_MAX: Final = 16  # that one job's values are sealed for
VALUES_MAX_BYTES: Final = 256 * 1024  # of one job, as JSON

Devices = Callable[[str, int], Awaitable[Mapping[str, bytes]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Luggage:
    """In the words of the wire (`agent.wire.messages.Job`)."""

    state: str = ""
    state_since: float = 0.0
    sealed: bytes = b""
    sealed_for: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)


def as_taken_along(luggage: Luggage) -> dict[str, Any]:
    """What stands beside the job in the answer to a pull over HTTP."""
    return {
        "state": luggage.state,
        "state_since": luggage.state_since,
        "sealed": base64.b64encode(luggage.sealed).decode(),
        "sealed_for": dict(luggage.sealed_for),
        "withheld": dict(luggage.withheld),
    }


class Offline:
    def __init__(
        self, store: Store, variables: Variables, resources: Resources, interpolation: Interpolation
    ) -> None:
        self._store = store
        self._variables = variables
        self._resources = resources
        self._interpolation = interpolation

    async def luggage(self, job: Pulled, devices: Devices) -> Luggage:
        """`devices`: those that may get the job, so many at most: key id → public key.

        The store is asked only by a job whose code names something.
        """
        state, since = await self._state_of(job)
        named = named_in(job.code)
        if not named:
            return Luggage(state=state, state_since=since)
        values, withheld = await self._values(job.workspace, named)
        sealed, sealed_for = b"", {}
        if values:
            wanted = await devices(job.tag, DEVICES_MAX + 1)
            if reason := _why_for_nobody(values, wanted):
                withheld |= dict.fromkeys(values, reason)
            else:
                closed = seal(JobId(job.job_id), values, wanted)
                sealed, sealed_for = closed.values, dict(closed.for_devices)
        return Luggage(
            state=state, state_since=since, sealed=sealed, sealed_for=sealed_for, withheld=withheld
        )

    async def _state_of(self, job: Pulled) -> tuple[str, float]:
        if not asks_for_state(job.code):
            return "", 0.0
        path = state_path(
            job.path, job.permissioned_as, job.created_by, is_scheduled=job.schedule_path is not None
        )
        found = await self._store.read(lambda db: last_state(db, job.workspace, path))
        return found or ("", 0.0)

    async def _values(self, workspace: str, named: list[str]) -> tuple[dict[str, Any], dict[str, str]]:
        """What is marked for it, and why the rest stays here."""
        values: dict[str, Any] = {}
        withheld: dict[str, str] = {}
        for name in named:
            try:
                found = await self._marked(workspace, name)
            except (NotFound, Unreadable) as error:
                withheld[name] = str(error)
                continue
            if found is None:
                kind = "variable" if name.startswith(VARIABLE) else "resource"
                withheld[name] = f"it is not marked for offline use; set `offline` of the {kind}"
            else:
                values[name] = found[0]
        return values, withheld

    async def _marked(self, workspace: str, name: str) -> tuple[Any] | None:
        """Raises `NotFound`, `Unreadable`."""
        if name.startswith(VARIABLE):
            path = name.removeprefix(VARIABLE)
            row = await self._variables.one(workspace, path, decrypt=True)
            return (row.value,) if row.offline else None
        path = name.removeprefix(RESOURCE)
        resource = await self._resources.one(workspace, path)
        return (
            (json.loads(await self._interpolation.resource(workspace, path)),) if resource.offline else None
        )


def _why_for_nobody(values: Mapping[str, Any], devices: Mapping[str, bytes]) -> str:
    """Empty when they can travel."""
    if not devices:
        return "no agent of this tag has a device key to seal it for"
    if len(devices) > DEVICES_MAX:
        return f"more than {DEVICES_MAX} devices serve this tag; give the job a tag of its site"
    size = len(json.dumps(values))
    if size > VALUES_MAX_BYTES:
        return f"what the script names has {size} bytes, and {VALUES_MAX_BYTES} may travel with a job"
    return ""
