"""Custody for people (superadmin): where every job is, who holds it, which results wait for a word."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.relay.ledger import Ledger
from bridge.relay.quarantine import Quarantine
from bridge.relay.shelf import Kept

ONE = "/api/quarantine/{job_id}/{attempt:int}/{worker}"

Superadmin = Callable[[Request], Awaitable[str]]  # who asks; raises for anybody else
Note = Callable[[str, str, str], Awaitable[None]]  # who does what with what, for the audit log


class CustodyRoutes:
    def __init__(self, ledger: Ledger, superadmin: Superadmin) -> None:
        self._ledger = ledger
        self._superadmin = superadmin

    def all(self) -> list[Route]:
        return [Route("/api/custody", self._custody, methods=["GET"])]

    async def _custody(self, request: Request) -> Response:
        await self._superadmin(request)
        return JSONResponse({"custody": await self._ledger.custody(), "agents": await self._ledger.agents()})


class QuarantineRoutes:
    def __init__(self, quarantine: Quarantine, superadmin: Superadmin, note: Note) -> None:
        self._quarantine = quarantine
        self._note = note
        self._superadmin = superadmin

    def all(self) -> list[Route]:
        return [
            Route("/api/quarantine", self._listed, methods=["GET"]),
            Route(ONE, self._document, methods=["GET"]),
            Route(f"{ONE}/accept", self._accept, methods=["POST"]),
            Route(f"{ONE}/reject", self._reject, methods=["POST"]),
        ]

    async def _listed(self, request: Request) -> Response:
        await self._superadmin(request)
        return JSONResponse({"results": await self._quarantine.listed()})

    async def _document(self, request: Request) -> Response:
        await self._superadmin(request)
        return Response(await self._quarantine.document(_kept(request)), media_type="application/json")

    async def _accept(self, request: Request) -> Response:
        """It becomes the job's result; 400 when the job has one."""
        by, kept = await self._superadmin(request), _kept(request)
        await self._note(by, "quarantine.accept", f"{kept.job_id}/{kept.attempt}")
        await self._quarantine.accept(kept, by)
        return JSONResponse(None)

    async def _reject(self, request: Request) -> Response:
        by, kept = await self._superadmin(request), _kept(request)
        await self._note(by, "quarantine.reject", f"{kept.job_id}/{kept.attempt}")
        await self._quarantine.reject(kept, by)
        return JSONResponse(None)


def _kept(request: Request) -> Kept:
    asked = request.path_params
    return Kept(JobId(asked["job_id"]), Attempt(asked["attempt"]), WorkerName(asked["worker"]))
