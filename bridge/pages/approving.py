"""Words to a flow that waits for people: by its owner, and by anybody who holds a signed link."""

import hmac
import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import BadRequest, NotAuthorized, NotFound
from bridge.flows.resumes import Resumes, Word
from bridge.flows.sayers import Sayers
from bridge.pages import flow_view
from bridge.pages.flow_view import Step
from bridge.pages.forms import form_of
from bridge.pages.site import LogInFirst, Site
from bridge.runs.service import Runs
from bridge.runs.signature import Field, arguments, fields_of
from bridge.runs.steps import FlowSteps
from bridge.tokens.model import Identity

ARG: Final = "arg."
WORDS: Final = ("approve", "deny")
RESUME_IDS: Final = 2**32
TAKEN: Final = {True: "Approved. The flow has your word.", False: "Denied. The flow has your word."}

Say = Callable[[bool, bytes], Awaitable[None]]  # approved, and with what: JSON text


@dataclass(slots=True)
class Asked:
    """A flow, and what stands in the form."""

    record: Mapping[str, Any]
    step: Step | None  # that waits now
    is_over: bool
    approver: str = ""
    back: str = ""
    values: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    said: str = ""
    why: str = ""

    @property
    def fields(self) -> list[Field]:
        form = None if self.step is None or self.step.approval is None else self.step.approval.form
        return fields_of("", "", form) or []

    @property
    def may_deny(self) -> bool:
        return self.step is None or self.step.approval is None or self.step.approval.may_deny


class ApprovingPages:
    def __init__(self, site: Site, runs: Runs, steps: FlowSteps, resumes: Resumes, sayers: Sayers) -> None:
        self._site = site
        self._sayers = sayers
        self._runs = runs
        self._steps = steps
        self._resumes = resumes

    def routes(self) -> list[Route]:
        link = "/approve/{workspace}/{job_id}/{resume_id}/{signature}"
        return [
            self._site.page_for_people("/run/{job_id}/answer", self._owner),
            self._site.page_for_people("/run/{job_id}/answer", self._owner_answers, "POST"),
            self._site.page_for_anybody(link, self._holder),
            self._site.page_for_anybody(link, self._holder_answers, "POST"),
        ]

    async def _owner(self, request: Request, who: Identity) -> Response:
        return self._shown(request, who, await self._owned(request, who))

    async def _owner_answers(self, request: Request, who: Identity) -> Response:
        asked = await self._owned(request, who)

        async def say(approved: bool, payload: bytes) -> None:  # noqa: FBT001 a word
            record = asked.record
            workspace, flow_id = record["workspace_id"], record["id"]
            await self._resumes.resume_suspended(workspace, flow_id, payload, who.username, approved=approved)

        return await self._answered(request, who, asked, say)

    async def _holder(self, request: Request, who: Identity | None) -> Response:
        return self._shown(request, who, (await self._held(request, who))[0])

    async def _holder_answers(self, request: Request, who: Identity | None) -> Response:
        asked, resume_id = await self._held(request, who)
        place = request.path_params

        async def say(approved: bool, payload: bytes) -> None:  # noqa: FBT001 a word
            word = Word(
                resume_id=resume_id, approved=approved, payload=payload, approver=asked.approver or None
            )
            await self._resumes.answer(place["workspace"], place["job_id"], word, place["signature"])

        return await self._answered(request, who, asked, say)

    async def _owned(self, request: Request, who: Identity) -> Asked:
        """Raises `NotFound` and `PermissionDenied`."""
        job_id = request.path_params["job_id"]
        record = await self._runs.record(job_id)
        await self._sayers.require_owner(record["workspace_id"], job_id, who)
        return await self._asked(record, back=f"/run/{job_id}")

    async def _held(self, request: Request, who: Identity | None) -> tuple[Asked, int]:
        """Nothing is shown to whoever has no link. Raises `NotAuthorized`, `PermissionDenied`, `NotFound`."""
        place, approver = request.path_params, request.query_params.get("approver")
        workspace, job_id, number = place["workspace"], place["job_id"], place["resume_id"]
        if not number.isdecimal() or int(number) >= RESUME_IDS:
            raise NotFound("there is no such link")
        record = await self._runs.record(job_id)
        fits = await self._resumes.signature(workspace, job_id, int(number), approver)
        is_ours = hmac.compare_digest(fits.encode(), place["signature"].encode(errors="replace"))
        if record["workspace_id"] != workspace or not is_ours:
            raise NotAuthorized("the link's signature does not fit; ask for a new link")
        try:
            await self._sayers.require_holder(workspace, job_id, who)
        except NotAuthorized:
            raise LogInFirst from None
        if record["flow_step_id"] is not None:
            record = await self._runs.record(record["parent_job"])
        return await self._asked(record, approver=approver or ""), int(number)

    async def _asked(self, record: Mapping[str, Any], approver: str = "", back: str = "") -> Asked:
        """Raises `NotFound`."""
        looked = await self._steps.look(record["id"])
        if looked is None:
            raise NotFound(f"job {record['id']} is no flow")
        waits = next((step for step in flow_view.steps(looked) if step.approval is not None), None)
        return Asked(record, waits, looked.is_over, approver, back)

    async def _answered(self, request: Request, who: Identity | None, asked: Asked, say: Say) -> Response:
        form = await form_of(request)
        word = form.text("word")
        asked.values = {ARG + one.name: form.secret(ARG + one.name) for one in asked.fields}
        is_approved = word == "approve"
        sent = {name.removeprefix(ARG): text for name, text in asked.values.items()}
        payload, wrong = arguments(asked.fields, sent)
        asked.wrong = wrong if is_approved else {}
        if word not in WORDS or asked.wrong:
            asked.why = asked.why or "Not sent yet: " + ("see below" if asked.wrong else "approve or deny")
            return self._shown(request, who, asked, 400)
        try:
            await say(is_approved, json.dumps(payload).encode())
        except BadRequest as error:
            asked.why = str(error)
            return self._shown(request, who, asked, 400)
        asked.said = TAKEN[is_approved]
        return self._shown(request, who, asked)

    def _shown(self, request: Request, who: Identity | None, asked: Asked, status: int = 200) -> Response:
        values = {
            "name": asked.record["script_path"] or "A flow",
            "record": asked.record,
            "step": asked.step,
            "is_over": asked.is_over,
            "form_fields": asked.fields,
            "may_deny": asked.may_deny,
            "arg": ARG,
            "values": asked.values,
            "wrong": asked.wrong,
            "approver": asked.approver,
            "said": asked.said,
            "why": asked.why,
            "back": asked.back,
        }
        return self._site.render(request, "approve.html", who, values, status)
