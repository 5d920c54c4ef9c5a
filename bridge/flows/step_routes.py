"""What is asked of a flow while it runs: results of its steps, and what its steps keep in it."""

from typing import Any, Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.flows.reading import FlowRecords
from bridge.flows.user_states import UserStates
from bridge.tokens.gate import Gate
from bridge.web.bodies import body_of, raw_json, strict_json, text_reply, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}/jobs"


class Within(Struct):
    """Query of result_by_id: words with dots between them that lead into the result."""

    json_path: str | None = None


class StepRoutes:
    def __init__(self, records: FlowRecords, states: UserStates, gate: Gate) -> None:
        self._records = records
        self._states = states
        self._gate = gate

    def all(self) -> list[Described]:
        state = f"{IN}/flow/user_states/{{job_id}}/{{key}}"
        return [
            Described("GET", f"{IN}/result_by_id/{{job_id}}/{{step_id}}", self.result, query=Within),
            Described("GET", state, self.state),
            Described("POST", state, self.set_state, takes=Any, gives=str, media=TEXT),
        ]

    async def result(self, request: Request) -> Response:
        """The result of a flow's step, or what a path leads to in it."""
        await self._gate.member(request)
        params, within = request.path_params, typed_query(request, Within)
        found = await self._records.result_by_id(
            params["workspace"], params["job_id"], params["step_id"], within.json_path or None
        )
        return raw_json(found)

    async def state(self, request: Request) -> Response:
        """What a flow's step keeps under a key, or null."""
        await self._gate.member(request)
        params = request.path_params
        return raw_json(await self._states.get(params["workspace"], params["job_id"], params["key"]))

    async def set_state(self, request: Request) -> Response:
        """Keep a value under a key, for the steps of this flow."""
        await self._gate.member(request)
        params, value = request.path_params, strict_json(await body_of(request) or b"null")
        await self._states.set(params["workspace"], params["job_id"], params["key"], value)
        return text_reply("ok")
