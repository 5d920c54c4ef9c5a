"""What people ask about the workers."""

from starlette.requests import Request
from starlette.responses import Response

from bridge.agents.api import API_VERSION
from bridge.agents.model import WorkerRow, WorkersFilter
from bridge.agents.service import Workers
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, text_reply, typed_query
from bridge.web.described import TEXT, Described


class WorkerRoutes:
    def __init__(self, workers: Workers, gate: Gate) -> None:
        self._workers = workers
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described(
                "GET", "/api/workers/list", self.list_workers, query=WorkersFilter, gives=list[WorkerRow]
            ),
            Described("GET", "/api/version", version, gives=str, media=TEXT),
            Described("GET", "/api/health/status", health, gives=dict[str, str]),
            Described("GET", "/api/min_keep_alive_version", min_keep_alive, gives=dict[str, str]),
        ]

    async def list_workers(self, request: Request) -> Response:
        """The workers heard of in the last `ping_since` seconds."""
        await self._gate.person(request)
        return json_reply(await self._workers.heard_since(typed_query(request, WorkersFilter)))


async def version(_: Request) -> Response:
    """The version of the agent API that is served."""
    return text_reply(f"Orvanta Edge v{API_VERSION}")


async def health(_: Request) -> Response:
    """200 while the bridge serves."""
    return json_reply({"status": "healthy"})


async def min_keep_alive(_: Request) -> Response:
    """The lowest versions that need not be renewed."""
    return json_reply({"worker": API_VERSION, "agent": API_VERSION})


def routes(workers: Workers, gate: Gate) -> list[Described]:
    return WorkerRoutes(workers, gate).all()
