"""/dead: what came to nothing, and why: dead letters, poison, results in quarantine; replayed or let go."""

from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.audit.service import Audit
from bridge.errors import BadRequest, NotFound
from bridge.pages.forms import form_of
from bridge.pages.live import Fragments, Live, digest
from bridge.pages.site import Site
from bridge.relay.letters import NEWEST, DeadLetters, LetterKind
from bridge.relay.quarantine import Quarantine
from bridge.relay.replays import Replays
from bridge.relay.shelf import Kept
from bridge.tokens.model import Identity

PER_PAGE: Final = 100
LETTER: Final = "/dead/{id:int}"
KEPT: Final = "/dead/quarantine/{job_id}/{attempt:int}/{worker}"

NAMES: Final = {
    LetterKind.JOB: "job refused by an agent",
    LetterKind.RESULT: "result that has no place",
    LetterKind.MESSAGE: "message that is not believed",
    LetterKind.UNRUN: "job that ended without a run",
    LetterKind.RETURNED: "returned by the broker",
    LetterKind.POISON: "poison",
}
ENDED: Final = (LetterKind.UNRUN, LetterKind.POISON)  # they have a recorded result


class DeadPages:
    """`replays` None: this bridge has no broker."""

    def __init__(
        self,
        site: Site,
        live: Live,
        letters: DeadLetters,
        audit: Audit,
        replays: Replays | None,
        quarantine: Quarantine,
    ) -> None:
        self._site = site
        self._live = live
        self._letters = letters
        self._audit = audit
        self._replays = replays
        self._quarantine = quarantine

    def routes(self) -> list[Route]:
        page = self._site.page
        return [
            page("/dead", self._page),
            page("/dead/live", self._stream),
            page("/dead/discard", self._discard_all, "POST"),
            page(f"{LETTER}/replay", self._replay, "POST"),
            page(f"{LETTER}/discard", self._discard, "POST"),
            page(f"{KEPT}/accept", self._accept, "POST"),
            page(f"{KEPT}/reject", self._reject, "POST"),
        ]

    async def _page(self, request: Request, who: Identity) -> Response:
        return await self._shown(request, who)

    async def _shown(
        self, request: Request, who: Identity, told: str = "", wrong: str = "", status: int = 200
    ) -> Response:
        kind, worker, before = _asked(request)
        rows = await self._rows(kind, worker, before)
        parts = self._fragments(rows)
        asked = {"kind": kind, "worker": worker, "known": digest(parts)}
        values = {
            "kinds": NAMES,
            "kind": kind,
            "worker": worker,
            "told": told or request.query_params.get("told", ""),
            "wrong": wrong,
            "live": f"/dead/live?{urlencode(asked)}" if before == NEWEST else "",
            "parts": parts,
            "has_broker": self._replays is not None,
            "counts": await self._letters.counts(),
        }
        return self._site.render(request, "dead.html", who, values, status)

    async def _stream(self, request: Request, _: Identity) -> Response:
        kind, worker = _asked(request)[:2]

        async def look() -> Fragments:
            return self._fragments(await self._rows(kind, worker, NEWEST))

        known = request.query_params.get("known", "")
        return self._live.stream(request, f"dead {kind} {worker}", look, known)

    def _fragments(self, rows: Mapping[str, object]) -> Fragments:
        return {
            "letters": self._site.text("_letters.html", rows),
            "kept": self._site.text("_quarantine.html", rows),
        }

    async def _rows(self, kind: str, worker: str, before: int) -> dict[str, object]:
        letters = await self._letters.listed(kind=kind, worker=worker, before=before, most=PER_PAGE)
        oldest = min((row["id"] for row in letters), default=0)
        older = urlencode({"kind": kind, "worker": worker, "before": oldest})
        kept = await self._quarantine.listed()
        return {
            "letters": [self._letter(row) for row in letters],
            "kept": [row for row in kept if row["decision"] is None],
            "upto": max((row["id"] for row in letters), default=0),
            "older": f"/dead?{older}" if len(letters) == PER_PAGE else "",
            "is_first": before == NEWEST,
        }

    def _letter(self, row: Mapping[str, Any]) -> dict[str, object]:
        """With what can be done with it."""
        kind = LetterKind(row["kind"])
        is_out = row["open_attempt"] is not None
        may_replay = self._replays is not None and (
            kind is LetterKind.RESULT
            or (kind in (LetterKind.JOB, LetterKind.RETURNED) and is_out and row["custodian"] is None)
        )
        return {
            **row,
            "name": NAMES[kind],
            "is_grave": kind is LetterKind.POISON,
            "may_replay": may_replay,
            "may_run_again": kind in ENDED,
            "is_held": kind is LetterKind.JOB and row["custodian"] is not None,
        }

    async def _replay(self, request: Request, who: Identity) -> Response:
        letter = request.path_params["id"]
        if self._replays is None:
            raise BadRequest("this bridge has no broker, so there is nothing to replay")
        await self._audit.note(who.username, "dead.replay", str(letter))
        try:
            told = await self._replays.replay(letter)
        except (BadRequest, NotFound) as error:
            return await self._shown(request, who, wrong=str(error), status=400)
        return _back(told)

    async def _discard(self, request: Request, who: Identity) -> Response:
        letter = request.path_params["id"]
        about = await self._letters.one(letter)
        await self._audit.note(
            who.username,
            "dead.discard",
            str(letter),
            kind=about.kind,
            job_id=about.job_id,
            reason=about.reason,
        )
        await self._letters.discard(letter)
        return _back("The letter is gone.")

    async def _discard_all(self, request: Request, who: Identity) -> Response:
        """Of those that were shown when it was asked."""
        form = await form_of(request)
        kind, worker, upto = form.text("kind"), form.text("worker"), form.whole("upto", 0, 2**53)
        await self._audit.note(who.username, "dead.discard_all", str(upto), kind=kind, worker=worker)
        gone = await self._letters.discard_all(upto, kind=kind, worker=worker)
        return _back(f"{gone} letters are gone.")

    async def _accept(self, request: Request, who: Identity) -> Response:
        return await self._decide(request, who, "accept", "It is the job's recorded result now.")

    async def _reject(self, request: Request, who: Identity) -> Response:
        return await self._decide(request, who, "reject", "The result is gone.")

    async def _decide(self, request: Request, who: Identity, word: str, told: str) -> Response:
        asked = request.path_params
        kept = Kept(JobId(asked["job_id"]), Attempt(asked["attempt"]), WorkerName(asked["worker"]))
        await self._audit.note(who.username, f"quarantine.{word}", f"{kept.job_id}/{kept.attempt}")
        deed = self._quarantine.accept if word == "accept" else self._quarantine.reject
        try:
            await deed(kept, who.username)
        except (BadRequest, NotFound) as error:
            return await self._shown(request, who, wrong=str(error), status=400)
        return _back(told)


def _asked(request: Request) -> tuple[str, str, int]:
    asked = request.query_params
    kind = asked.get("kind", "")
    if kind and kind not in tuple(LetterKind):
        raise BadRequest(f"kind must be one of {', '.join(LetterKind)}, not {kind!r}")
    before = asked.get("before", "")
    is_place = before.isdecimal() and len(before) < len(str(NEWEST))
    return kind, asked.get("worker", "").strip(), int(before) if is_place else NEWEST


def _back(told: str) -> Response:
    return RedirectResponse(f"/dead?{urlencode({'told': told})}", 303)
