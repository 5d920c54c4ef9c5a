"""/runs/new: run a deployed script or flow, by a form made from its arguments, or a piece of code."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.errors import BadRequest, NotFound
from bridge.flows.deployed import FlowFilter, Flows
from bridge.jobs.model import Code, Order, RunOptions, ScriptHash, Source
from bridge.jobs.scripts import ScriptFilter, Scripts
from bridge.jobs.service import Jobs
from bridge.pages.forms import Form, form_of
from bridge.pages.site import Site
from bridge.runs.service import Runs
from bridge.runs.signature import Field, arguments, fields_of
from bridge.tokens.model import Identity

LANGUAGES: Final = (
    "python3", "bash", "bun", "nativets", "deno", "powershell", "postgresql", "mysql", "sqlite",
)  # fmt: skip
SCRIPTS_MAX: Final = 500
ARG: Final = "arg."  # how the names of argument fields begin
FLOW: Final = "flow:"  # how the choice of a flow begins; no path does


@dataclass(slots=True)
class Draft:
    """What stands in the form."""

    workspace: str
    chosen: str = ""
    script: Mapping[str, Any] | None = None
    flow: Mapping[str, Any] | None = None
    unready: str | None = None  # why the script does not run yet
    fields: list[Field] | None = None  # of what was chosen; None: one JSON object
    values: Mapping[str, str] = field(default_factory=dict)
    wrong: Mapping[str, str] = field(default_factory=dict)
    why: str = ""  # it was refused


class NewRunPages:
    def __init__(self, site: Site, runs: Runs, jobs: Jobs, scripts: Scripts, flows: Flows) -> None:
        self._site = site
        self._runs = runs
        self._jobs = jobs
        self._scripts = scripts
        self._flows = flows

    def routes(self) -> list[Route]:
        return [
            self._site.page_for_people("/runs/new", self._page),
            self._site.page_for_people("/runs/new", self._submit, "POST"),
        ]

    async def _page(self, request: Request, who: Identity) -> Response:
        asked = request.query_params
        draft = await self._draft(asked.get("workspace", ""), asked.get("script", ""))
        return await self._shown(request, who, draft)

    async def _submit(self, request: Request, who: Identity) -> Response:
        form = await form_of(request)
        draft = await self._draft(form.text("workspace"), form.text("script"))
        names = [one.name for one in draft.fields or ()]
        draft.values = {name: form.secret(name) for name in (*(ARG + name for name in names), *PLAIN)}
        try:
            if draft.unready is not None:
                return await self._shown(request, who, draft, 400)
            args = _arguments(draft)
            if draft.wrong:
                return await self._shown(request, who, draft, 400)
            job_id = await self._jobs.push(_order(await self._source(draft, form), draft, form, args, who))
        except (BadRequest, NotFound) as error:
            draft.why = str(error)
            return await self._shown(request, who, draft, 400)
        return RedirectResponse(f"/run/{job_id}", 303)

    async def _draft(self, workspace: str, path: str) -> Draft:
        workspaces = await self._runs.workspaces()
        draft = Draft(workspace or workspaces[0], path)
        if draft.workspace not in workspaces:
            raise BadRequest(f"there is no workspace {draft.workspace!r}")
        if path.startswith(FLOW):
            draft.flow = await self._flows.get(draft.workspace, path.removeprefix(FLOW))
            draft.fields = fields_of("", "", msgspec.json.decode(draft.flow["schema"]))
        elif path:
            script = await self._scripts.at_path(draft.workspace, path)
            schema = msgspec.json.decode(script["schema"])
            draft.script, draft.fields = script, fields_of(script["language"], script["content"], schema)
            draft.unready = await self._scripts.unready(draft.workspace, path)
        return draft

    async def _source(self, draft: Draft, form: Form) -> Source:
        """Raises `BadRequest` and `NotFound`."""
        if draft.flow is not None:
            return await self._flows.source(draft.workspace, draft.flow["path"])
        return _code(form) if draft.script is None else ScriptHash(draft.script["hash"])

    async def _shown(self, request: Request, who: Identity, draft: Draft, status: int = 200) -> Response:
        listed = await self._scripts.heads(draft.workspace, ScriptFilter(per_page=SCRIPTS_MAX))
        flows = await self._flows.listed(draft.workspace, FlowFilter(per_page=SCRIPTS_MAX))
        values = {
            "draft": draft,
            "arg": ARG,
            "workspaces": await self._runs.workspaces(),
            "scripts": sorted(one["path"] for one in listed),
            "flows": sorted(one["path"] for one in flows),
            "flow": FLOW,
            "languages": LANGUAGES,
            "tags": await self._runs.tags(),
        }
        return self._site.render(request, "new_run.html", who, values, status)


PLAIN: Final = ("args", "code", "language", "tag", "timeout", "delay", "delivery")


def _arguments(draft: Draft) -> bytes:
    """JSON text; `draft.wrong` says what is wrong. Raises `BadRequest`."""
    if draft.fields is None:
        return _object(draft.values.get("args", ""))
    sent = {name.removeprefix(ARG): text for name, text in draft.values.items() if name.startswith(ARG)}
    values, draft.wrong = arguments(draft.fields, sent)
    return json.dumps(values).encode()


def _object(text: str) -> bytes:
    if not text.strip():
        return b"{}"
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadRequest(f"the arguments are not JSON: {error}") from None
    if not isinstance(value, dict):
        raise BadRequest('the arguments must be a JSON object, for example {"name": "Suva"}')
    return text.encode()


def _order(source: Source, draft: Draft, form: Form, args: bytes, who: Identity) -> Order:
    return Order(
        workspace=draft.workspace,
        source=source,
        args=args,
        options=_options(form),
        created_by=who.username,
        permissioned_as=f"u/{who.username}",
        email=who.email,
    )


def _code(form: Form) -> Code:
    if not form.text("code"):
        raise BadRequest("there is no code to run: choose a script, or write some")
    language = form.text("language")
    if language not in LANGUAGES:
        raise BadRequest(f"the language must be one of {', '.join(LANGUAGES)}")
    code = form.secret("code").replace("\r\n", "\n")  # as browsers send a new line
    return Code(code, language, None, None, form.text("tag") or None)


def _options(form: Form) -> RunOptions:
    asked: dict[str, object] = {}
    for name, option in (("timeout", "timeout"), ("delay", "scheduled_in_secs")):
        if form.text(name):
            asked[option] = form.whole(name, 1, 366 * 86_400)
    for name in ("tag", "delivery"):
        if form.text(name):
            asked[name] = form.text(name)
    try:
        return msgspec.convert(asked, RunOptions)
    except msgspec.ValidationError as error:
        raise BadRequest(str(error)) from None
