"""/run/<id>: one job: where it is and why, its log as it grows, its result; cancel it, run it again."""

from dataclasses import dataclass
from itertools import count
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.errors import BadRequest
from bridge.flows.deployed import Flows, preview_of
from bridge.jobs.lanes import FLOW_KINDS
from bridge.jobs.model import Cancel, Code, Order, RunOptions, ScriptHash, Source
from bridge.jobs.service import Jobs
from bridge.pages.flow import FlowPart
from bridge.pages.forms import form_of
from bridge.pages.live import Fragments, Live, digest
from bridge.pages.run_words import name_of, plain, pretty_json, result_shown, state_of, worker_of
from bridge.pages.site import Site
from bridge.runs.model import Facts, Where
from bridge.runs.service import LogPiece, Runs, Text
from bridge.runs.timeline import timeline
from bridge.runs.why import why
from bridge.tokens.model import Identity

REASON_MAX_CHARS: Final = 500
ONE: Final = "/run/{job_id}"
RESOLVES: Final = ("dependencies", "flowdependencies")  # kinds of jobs that run no code of a script


@dataclass(frozen=True, slots=True)
class Seen:
    """A job at one moment."""

    facts: Facts
    record: dict[str, Any]

    @property
    def is_flow(self) -> bool:
        return self.record["kind"] in FLOW_KINDS and self.record["kind"] != "identity"

    @property
    def is_over(self) -> bool:
        return self.facts.job.where is Where.OVER


class RunPages:
    def __init__(
        self, site: Site, live: Live, runs: Runs, jobs: Jobs, flows: FlowPart, deployed: Flows
    ) -> None:
        self._site = site
        self._live = live
        self._runs = runs
        self._jobs = jobs
        self._flows = flows
        self._deployed = deployed
        self._viewers = count()

    def routes(self) -> list[Route]:
        return [
            self._site.page_for_people(ONE, self._page),
            self._site.page_for_people(f"{ONE}/live", self._stream),
            self._site.page_for_people(f"{ONE}/custody", self._custody),
            self._site.page_for_people(f"{ONE}/cancel", self._cancel, "POST"),
            self._site.page_for_people(f"{ONE}/again", self._again, "POST"),
        ]

    async def _page(self, request: Request, who: Identity) -> Response:
        job_id = request.path_params["job_id"]
        seen = await self._seen(job_id)
        args, code = await self._texts(seen)
        log = await self._runs.log(job_id, None)
        parts = await self._fragments(seen, who)
        values = {
            **_about(seen),
            "args": pretty_json(args),
            "args_cut": args.is_cut,
            "code": code,
            "log": plain(log.text),
            "log_start": log.start,
            "log_end": log.end,
            "parts": parts,
            "result": parts.get("result") or await self._result(seen),
            "known": digest(parts),
            "is_flow": seen.is_flow,
            "is_begun_flow": seen.is_flow and seen.facts.job.handed_out_at is not None,
        }
        return self._site.render(request, "run.html", who, values)

    async def _stream(self, request: Request, who: Identity) -> Response:
        """Each viewer has a look of its own: it may be anywhere in the log."""
        job_id = request.path_params["job_id"]
        at = request.query_params.get("log", "")
        offset = int(at) if at.isdecimal() and len(at) < len(str(2**53)) else 0

        async def look() -> Fragments:
            nonlocal offset
            found = await self._fragments(await self._seen(job_id), who)
            piece = await self._runs.log(job_id, offset)
            if piece.text:
                found["log"] = self._piece(piece, piece.start - offset)
                offset = piece.end
            return found

        known = request.query_params.get("known", "")
        return self._live.stream(request, f"run {job_id} {next(self._viewers)}", look, known)

    async def _custody(self, request: Request, _: Identity) -> Response:
        """The same for a script."""
        seen = await self._seen(request.path_params["job_id"])
        said = why(seen.facts)
        found = {
            "mood": said.mood,
            "why": said.text(seen.facts.now_s),
            "attempts": timeline(seen.facts),
        }
        return Response(msgspec.json.encode(found), media_type="application/json")

    async def _cancel(self, request: Request, who: Identity) -> Response:
        """At once where nobody runs it; else its holder is told, or, with `now`, it ends without it."""
        job_id = request.path_params["job_id"]
        form = await form_of(request)
        reason = form.text("reason")[:REASON_MAX_CHARS] or None
        how = Cancel.FORCED if form.text("now") else Cancel.ASKED
        await self._jobs.cancel(await self._runs.workspace_of(job_id), job_id, who.username, reason, how)
        return RedirectResponse(f"/run/{job_id}", 303)

    async def _again(self, request: Request, who: Identity) -> Response:
        """A new job of the same code, arguments and rules."""
        job_id = request.path_params["job_id"]
        record = await self._runs.record(job_id)
        args, code = await self._texts(await self._seen(job_id))
        is_deployed = record["script_hash"] is not None or record["kind"] == "flow"
        if args.is_cut or (code.is_cut and not is_deployed):
            raise BadRequest("its code or its arguments are too long for this page; run it again by the API")
        order = Order(
            workspace=record["workspace_id"],
            source=await self._source(record, code.text),
            args=args.text.encode(),
            options=_options(record),
            created_by=who.username,
            permissioned_as=f"u/{who.username}",
            email=who.email,
        )
        return RedirectResponse(f"/run/{await self._jobs.push(order)}", 303)

    async def _seen(self, job_id: str) -> Seen:
        return Seen(*await self._runs.facts(job_id))

    async def _texts(self, seen: Seen) -> tuple[Text, Text]:
        """Its arguments and its code, or the definition of a flow."""
        args, code = await self._runs.arguments_and_code(seen.facts.job.job_id)
        return args, (await self._flows.code(seen.facts.job.job_id)) if seen.is_flow else code

    async def _source(self, record: dict[str, Any], code: str) -> Source:
        if record["kind"] == "flow":
            return await self._deployed.source(record["workspace_id"], record["script_path"])
        if record["kind"] == "identity":
            raise BadRequest("this step only passes on what came before it; run its flow again")
        if record["kind"] in FLOW_KINDS:
            return preview_of(code.encode(), record["script_path"], record["tag"])
        return _source(record, code)

    async def _fragments(self, seen: Seen, who: Identity) -> dict[str, str]:
        """All but the log."""
        custody = {"why": why(seen.facts), "rows": timeline(seen.facts)}
        parts = {
            "state": self._site.text("_run_state.html", _about(seen)),
            "custody": self._site.text("_custody.html", custody),
        }
        if seen.is_flow:
            parts["steps"] = await self._flows.text(seen.record, who)
        return parts | {"result": await self._result(seen)} if seen.is_over else parts

    async def _result(self, seen: Seen) -> str:
        found = await self._runs.result(seen.facts.job.job_id) if seen.is_over else None
        shown = None if found is None else result_shown(found[0])
        chars = 0 if found is None else found[0].chars
        return self._site.text("_result.html", {"shown": shown, "chars": chars, "job": seen.facts.job})

    def _piece(self, piece: LogPiece, left_out: int) -> str:
        values = {"text": plain(piece.text), "start": piece.start, "end": piece.end, "left_out": left_out}
        return self._site.text("_log.html", values)


def _about(seen: Seen) -> dict[str, object]:
    job, record = seen.facts.job, seen.record
    newest = seen.facts.attempts[-1] if seen.facts.attempts else None
    custody = None
    if newest is not None:
        custody = {"state": newest.state, "started_at": newest.started_at, "custodian": newest.custodian}
    return {
        "job": job,
        "record": record,
        "name": name_of(record),
        "state": state_of(record, custody),
        "worker": worker_of(record, custody),
        "is_over": seen.is_over,
        "runs_once": job.delivery == "at_most_once",
        "api": f"/api/w/{job.workspace}/jobs_u",
        "log_api": f"/api/w/{job.workspace}/jobs_u/get_logs/{job.job_id}",
    }


def _source(record: dict[str, Any], code: str) -> Code | ScriptHash:
    if record["kind"] in RESOLVES:
        raise BadRequest("to have dependencies resolved again, deploy their script or flow again")
    if record["script_hash"] is not None:
        return ScriptHash(record["script_hash"])
    return Code(code, record["language"], None, record["script_path"], record["tag"])


def _options(record: dict[str, Any]) -> RunOptions:
    return RunOptions(
        tag=record["tag"],
        timeout=record["timeout_s"],
        priority=record["priority"],
        delivery=record["delivery"],
        lost_after=record["lost_after_s"],
        replace=record["replace"],
    )
