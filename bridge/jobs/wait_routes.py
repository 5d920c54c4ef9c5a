"""Run and wait over HTTP: how webhooks call, with the arguments in the body (agent-api.md 8.1)."""

from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.jobs.model import (
    NO_ARGS,
    Order,
    Preview,
    PreviewAsSent,
    RunOptions,
    ScriptHash,
    ScriptPath,
    Source,
)
from bridge.jobs.ordering import code_of, order_of
from bridge.jobs.waiting import FAILED, NotInTime, TooMany, Waiting, payload_args
from bridge.tokens.gate import Gate
from bridge.tokens.model import Identity
from bridge.web.bodies import body_of, raw_json, strict_json, text_reply, typed_body, typed_query
from bridge.web.described import Described

IN: Final = "/api/w/{workspace}/jobs/run_wait_result"
INLINE: Final = "/api/w/{workspace}/jobs/run_inline"


class WaitOptions(RunOptions):
    """As for every run; `queue_limit` refuses the job when as many wait already, `payload` is GET's body."""

    queue_limit: int | None = None
    payload: str | None = None


class WaitRoutes:
    def __init__(self, waiting: Waiting, gate: Gate) -> None:
        self._waiting = waiting
        self._gate = gate

    def all(self) -> list[Described]:
        taken: dict[str, Any] = {"query": WaitOptions, "gives": Any}
        return [
            Described("POST", f"{IN}/p/{{path:path}}", self.path, takes=dict[str, Any], **taken),
            Described("GET", f"{IN}/p/{{path:path}}", self.path, **taken),
            Described("POST", f"{IN}/h/{{hash}}", self.hash, takes=dict[str, Any], **taken),
            Described("POST", f"{IN}/preview", self.preview, takes=Preview, **taken),
            Described("POST", f"{INLINE}/preview", self.preview, takes=Preview, **taken),
        ]

    async def path(self, request: Request) -> Response:
        """Run the script at a path and answer with its result."""
        identity = await self._gate.member(request)
        source = ScriptPath(request.path_params["path"])
        return await self._answered(request, identity, source, await args_of(request))

    async def hash(self, request: Request) -> Response:
        """Run one version of a script and answer with its result."""
        identity = await self._gate.member(request)
        source = ScriptHash(request.path_params["hash"])
        return await self._answered(request, identity, source, await args_of(request))

    async def preview(self, request: Request) -> Response:
        """Run code once and answer with its result."""
        identity = await self._gate.member(request)
        asked = await typed_body(request, PreviewAsSent)
        return await self._answered(request, identity, code_of(asked), bytes(asked.args))

    async def _answered(self, request: Request, identity: Identity, source: Source, args: bytes) -> Response:
        return await waited(request, self._waiting, order_of(request, identity, source, args))


async def waited(request: Request, waiting: Waiting, order: Order, failed: int = FAILED) -> Response:
    """The result, once there is one; of a failed job with the status `failed`."""
    try:
        answer = await waiting.run(order, typed_query(request, WaitOptions).queue_limit, failed)
    except TooMany as error:
        return text_reply(str(error), 503)
    except NotInTime as error:
        return text_reply(str(error), 504)
    return raw_json(answer.document, answer.status)


async def args_of(request: Request) -> bytes:
    payload = typed_query(request, WaitOptions).payload
    if payload is not None:
        return strict_json(payload_args(payload))
    return strict_json(await body_of(request) or bytes(NO_ARGS))


def routes(waiting: Waiting, gate: Gate) -> list[Described]:
    return WaitRoutes(waiting, gate).all()
