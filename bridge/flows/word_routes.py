"""People's word on a flow that waits for it: by a signed link, or as who started the flow."""

from typing import Any, Final

from msgspec import Raw, Struct
from starlette.requests import Request
from starlette.responses import Response

from bridge.errors import BadRequest
from bridge.flows.resumes import Links, Resumes, Word
from bridge.flows.sayers import Sayers
from bridge.jobs.waiting import payload_args
from bridge.tokens.gate import Gate
from bridge.web.bodies import body_of, json_reply, strict_json, text_reply, typed_body, typed_query
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}"
NULL: Final = b"null"
RESUME_ID_MAX: Final = 2**32  # it is signed as 32 bits


class Approver(Struct):
    """Query of the links; `payload` is the JSON in base64, where there is no body."""

    approver: str | None = None
    payload: str | None = None


class Wanted(Struct):
    """Query of resume_urls; `flow_level`: usable by any later step of the flow that waits."""

    approver: str | None = None
    flow_level: bool = False


class Suspended(Struct):
    """Body of resume_suspended."""

    payload: Any = None
    approved: bool = True
    approval_token: str | None = None


class SuspendedAsSent(Struct):
    payload: Raw = Raw(NULL)
    approved: bool = True


class WordRoutes:
    def __init__(self, resumes: Resumes, sayers: Sayers, gate: Gate, base_url: str) -> None:
        """`base_url`: where those who are asked find the API."""
        self._resumes = resumes
        self._sayers = sayers
        self._gate = gate
        self._base_url = base_url

    def all(self) -> list[Described]:
        link = "{job_id}/{resume_id}/{signature}"
        word: dict[str, Any] = {"query": Approver, "gives": str, "status": 201, "media": TEXT}
        urls = f"{IN}/jobs/resume_urls/{{job_id}}/{{resume_id}}"
        return [
            Described("GET", urls, self.urls, query=Wanted, gives=Links),
            Described("GET", f"{IN}/jobs_u/resume/{link}", self.resume, **word),
            Described("POST", f"{IN}/jobs_u/resume/{link}", self.resume, takes=Any, **word),
            Described("GET", f"{IN}/jobs_u/cancel/{link}", self.cancel, **word),
            Described("POST", f"{IN}/jobs_u/cancel/{link}", self.cancel, takes=Any, **word),
            Described("POST", f"{IN}/jobs/flow/resume/{{job_id}}", self.resume_flow,
                      takes=Any, gives=str, status=201, media=TEXT),
            Described("POST", f"{IN}/jobs_u/flow/resume_suspended/{{job_id}}", self.resume_suspended,
                      takes=Suspended, gives=str, status=201, media=TEXT),
        ]  # fmt: skip

    async def urls(self, request: Request) -> Response:
        """Signed links to resume or to refuse, for the step that is to be waited for."""
        await self._gate.member(request)
        params, wanted = request.path_params, typed_query(request, Wanted)
        links = await self._resumes.links(
            params["workspace"], params["job_id"], _number(params["resume_id"]), wanted.approver or None,
            self._base_url, flow_level=wanted.flow_level,
        )  # fmt: skip
        return json_reply(links)

    async def resume(self, request: Request) -> Response:
        """Approve by a signed link; it counts once."""
        return await self._answered(request, approved=True)

    async def cancel(self, request: Request) -> Response:
        """Refuse by a signed link; it counts once."""
        return await self._answered(request, approved=False)

    async def resume_flow(self, request: Request) -> Response:
        """Approve as who started the flow, or as an administrator, without a link."""
        identity = await self._gate.member(request)
        params, payload = request.path_params, strict_json(await body_of(request) or NULL)
        await self._sayers.require_owner(params["workspace"], params["job_id"], identity)
        await self._resumes.resume_flow(params["workspace"], params["job_id"], payload, identity.username)
        return text_reply("resumed", 201)

    async def resume_suspended(self, request: Request) -> Response:
        """Approve or refuse as who started the flow, or as an administrator, without a link."""
        identity = await self._gate.member(request)
        asked, params = await typed_body(request, SuspendedAsSent), request.path_params
        await self._sayers.require_owner(params["workspace"], params["job_id"], identity)
        await self._resumes.resume_suspended(
            params["workspace"], params["job_id"], bytes(asked.payload), identity.username,
            approved=asked.approved,
        )  # fmt: skip
        return text_reply("resumed" if asked.approved else "refused", 201)

    async def _answered(self, request: Request, *, approved: bool) -> Response:
        await self._gate.stranger(request)  # its key would be made anew for each name that is tried
        params, query = request.path_params, typed_query(request, Approver)
        who = await self._gate.member_or_none(request)
        await self._sayers.require_holder(params["workspace"], params["job_id"], who)
        payload = await body_of(request) if request.method == "POST" else b""
        if not payload and query.payload is not None:
            payload = payload_args(query.payload)
        word = Word(
            resume_id=_number(params["resume_id"]),
            approved=approved,
            payload=strict_json(payload or NULL),
            approver=query.approver or None,
        )
        await self._resumes.answer(params["workspace"], params["job_id"], word, params["signature"])
        return text_reply("resumed" if approved else "refused", 201)


def _number(text: str) -> int:
    """Raises `BadRequest`."""
    if not text.isascii() or not text.isdecimal() or int(text) >= RESUME_ID_MAX:
        raise BadRequest(f"the resume id must be a whole number below 2^32, not {text[:40]!r}")
    return int(text)
