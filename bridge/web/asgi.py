"""The web application around routes handed in: error texts, limits, the API's description."""

import math
from collections.abc import Sequence
from typing import Final

import msgspec
import structlog
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import BaseRoute
from starlette.types import ASGIApp, Lifespan

from agent.database import DatabaseError, WriteFailed
from bridge.errors import BadRequest, BridgeError, NotAuthorized, NotFound, NotYet, PermissionDenied
from bridge.metrics.figures import AUTH_REFUSALS
from bridge.web.bodies import raw_json, text_reply
from bridge.web.described import Described
from bridge.web.headers import SecurityHeaders
from bridge.web.openapi import describe

BODY_MAX_BYTES: Final = 16 * 1024 * 1024
RESULT_MAX_BYTES: Final = 65 * 1024 * 1024  # one result of 64 MiB, with what is said of it around

# agent-api.md section 2: what is not in this table is a bug of ours, so 500.
STATUS: Final[dict[type[BridgeError], int]] = {
    BadRequest: 400,
    NotAuthorized: 401,
    PermissionDenied: 403,
    NotFound: 404,
    NotYet: 429,
}

REFUSALS: Final = {401: "unproved", 403: "not_allowed"}
RETRY_AFTER_S: Final = 5

log = structlog.get_logger()


def build(
    routes: Sequence[BaseRoute], *, version: str = "0", lifespan: Lifespan[Starlette] | None = None
) -> ASGIApp:
    """The application. Errors answer `text/plain`; a body over `BODY_MAX_BYTES` answers 413."""
    description = msgspec.json.encode(describe(routes, version))

    async def openapi(_: Request) -> Response:
        """This description."""
        return raw_json(description)

    return Starlette(
        routes=[*routes, Described("GET", "/api/openapi.json", openapi)],
        exception_handlers={
            BridgeError: _refused,
            ClientDisconnect: _gone,
            WriteFailed: _waits_for_the_store,
            DatabaseError: _failed,
            Exception: _failed,
        },
        middleware=[Middleware(SecurityHeaders)],
        lifespan=lifespan,
        max_body_size=BODY_MAX_BYTES,
    )


async def _refused(_: Request, error: Exception) -> Response:
    status = next((STATUS[kind] for kind in type(error).__mro__ if kind in STATUS), 500)
    if status in REFUSALS:
        AUTH_REFUSALS.labels("api", REFUSALS[status]).inc()
    answer = text_reply(str(error), status)
    if isinstance(error, NotYet):
        answer.headers["retry-after"] = str(math.ceil(error.wait_s))
    return answer


async def _gone(_: Request, __: Exception) -> Response:
    return text_reply("the client left before its request was read", 400)


async def _waits_for_the_store(request: Request, error: Exception) -> Response:
    """503: nothing is lost, and the same request may be made again."""
    log.warning("request.store_down", method=request.method, path=request.url.path, reason=str(error))
    return Response(
        "the store does not answer now; try again",
        status_code=503,
        media_type="text/plain",
        headers={"Retry-After": str(RETRY_AFTER_S)},
    )


async def _failed(request: Request, error: Exception) -> Response:
    """500 without internals. The traceback goes to our log only."""
    log.error("request.failed", method=request.method, path=request.url.path, exc_info=error)
    return text_reply("internal error; the bridge's log has the reason", 500)
