"""Enrolment: an agent token in, the link to use out (DESIGN section 6); and who is enrolled, for people."""

import base64
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.wire.claims import Claims, Tag, WorkerName
from agent.wire.errors import WireError
from agent.wire.routing import job_queue
from bridge.errors import BrokerDown

Verify = Callable[[str], Awaitable[Claims | None]]
Admit = Callable[[WorkerName, frozenset[Tag]], Awaitable[None]]


class Register(Protocol):
    async def enrol(self, claims: Claims, version: str, slots: int) -> None: ...

    async def agents(self) -> list[dict[str, Any]]: ...


class Enrolments:
    def __init__(
        self,
        register: Register,
        verify: Verify,
        admit: Admit,
        keys: Mapping[str, bytes],
        public_amqp_url: str,
    ) -> None:
        """`public_amqp_url`: where agents find the broker, which may differ from where the bridge does.

        `{host}` in it stands for the host name under which the agent reached the bridge.
        """
        self._register = register
        self._verify = verify
        self._admit = admit
        self._keys = {kid: base64.b64encode(raw).decode() for kid, raw in keys.items()}
        self._amqp_url = public_amqp_url

    def routes(self) -> list[Route]:
        return [Route("/api/agent_workers/enroll", self._enrol, methods=["POST"])]

    async def _enrol(self, request: Request) -> Response:
        """200 with the link; 401 a bad token; 400 a bad body; 503 while the broker is away."""
        claims = await self._verify(request.headers.get("authorization", "").removeprefix("Bearer "))
        if claims is None:
            return PlainTextResponse("Unauthorized", 401)
        try:
            about = json.loads(await request.body())
            version, slots = str(about.get("version", "")), int(about.get("slots", 1))
            for tag in claims.tags:
                job_queue(tag)
        except (ValueError, TypeError, AttributeError, WireError) as error:
            return PlainTextResponse(f"the body must be {{version, slots}} and the tags short: {error}", 400)
        try:
            await self._admit(claims.worker, claims.tags)
        except BrokerDown as error:
            return PlainTextResponse(str(error), 503)
        others = [agent for agent in await self._register.agents() if agent["worker"] != claims.worker]
        await self._register.enrol(claims, version, slots)
        return JSONResponse({
            "worker": claims.worker,
            "worker_group": claims.worker_group,
            "tags": sorted(claims.tags),
            "shared_tags": sorted(claims.tags & {tag for agent in others for tag in agent["tags"]}),
            "amqp_url": self._amqp_url.replace("{host}", request.url.hostname or ""),
            "keys": self._keys,
        })  # fmt: skip
