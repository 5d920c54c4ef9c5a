"""Custody for people (superadmin): where every job is, who holds it, which results wait for a word."""

from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.errors import BadRequest
from bridge.relay.ledger import Ledger
from bridge.relay.letters import DeadLetters
from bridge.relay.quarantine import Quarantine
from bridge.relay.replays import Replays
from bridge.relay.shelf import Kept

LETTER = "/api/dead/{id:int}"
ONE = "/api/quarantine/{job_id}/{attempt:int}/{worker}"

LISTED_MAX = 1000

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


class LetterRoutes:
    """`replays` None: there is no broker."""

    def __init__(
        self, letters: DeadLetters, replays: Replays | None, superadmin: Superadmin, note: Note
    ) -> None:
        self._letters = letters
        self._replays = replays
        self._superadmin = superadmin
        self._note = note

    def all(self) -> list[Route]:
        return [
            Route("/api/dead", self._listed, methods=["GET"]),
            Route(f"{LETTER}/replay", self._replay, methods=["POST"]),
            Route(f"{LETTER}/discard", self._discard, methods=["POST"]),
        ]

    async def _listed(self, request: Request) -> Response:
        await self._superadmin(request)
        asked = request.query_params
        found = await self._letters.listed(
            kind=asked.get("kind", ""), worker=asked.get("worker", ""), most=LISTED_MAX
        )
        return JSONResponse({"letters": found})

    async def _replay(self, request: Request) -> Response:
        """By the ledger's rules; 400 says why not."""
        by, letter = await self._superadmin(request), request.path_params["id"]
        if self._replays is None:
            raise BadRequest("this bridge has no broker, so there is nothing to replay")
        await self._note(by, "dead.replay", str(letter))
        return JSONResponse(await self._replays.replay(letter))

    async def _discard(self, request: Request) -> Response:
        by, letter = await self._superadmin(request), request.path_params["id"]
        await self._note(by, "dead.discard", str(letter))
        await self._letters.discard(letter)
        return JSONResponse(None)


def _kept(request: Request) -> Kept:
    asked = request.path_params
    return Kept(JobId(asked["job_id"]), Attempt(asked["attempt"]), WorkerName(asked["worker"]))
