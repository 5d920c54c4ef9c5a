"""The steps of a flow: a part of its page, and the list of a loop's iterations."""

import json
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import BadRequest
from bridge.jobs.lanes import FLOW_KINDS
from bridge.pages import flow_view
from bridge.pages.flow_view import cell_state
from bridge.pages.run_words import name_of
from bridge.pages.site import Site
from bridge.runs.service import SHOWN_MAX_CHARS, Runs, Text
from bridge.runs.steps import CHILDREN_PER_PAGE, FlowSteps
from bridge.tokens.model import Identity

POSITION_DIGITS: Final = 9


class FlowPart:
    def __init__(self, site: Site, runs: Runs, steps: FlowSteps) -> None:
        self._site = site
        self._runs = runs
        self._steps = steps

    def routes(self) -> list[Route]:
        return [self._site.page_for_people("/run/{job_id}/steps", self._children)]

    async def text(self, record: dict[str, object], who: Identity) -> str:
        """The steps as they stand; empty for a job that is no flow."""
        if record["kind"] not in FLOW_KINDS:
            return ""
        job_id = str(record["id"])
        looked = await self._steps.look(job_id)
        if looked is None:
            return ""
        values = {
            "steps": flow_view.steps(looked),
            "job_id": job_id,
            "may_answer": may_answer(record, who),
        }
        return self._site.text("_flow.html", values)

    async def code(self, job_id: str) -> Text:
        """What it runs, readable."""
        text = await self._steps.text(job_id)
        pretty = json.dumps(json.loads(text), indent=1, ensure_ascii=False)
        return Text(pretty[:SHOWN_MAX_CHARS], len(pretty))

    async def _children(self, request: Request, who: Identity) -> Response:
        job_id, module = request.path_params["job_id"], request.query_params.get("module", "")
        asked = request.query_params.get("first", "0")
        if not asked.isdecimal() or len(asked) > POSITION_DIGITS:
            raise BadRequest(f"first must be a whole number, not {asked!r}")
        record = await self._runs.record(job_id)
        open_only = request.query_params.get("open", "")
        rows = await self._steps.children(job_id, module, int(asked), open_only=bool(open_only))
        values = {
            "job_id": job_id,
            "module": module,
            "name": name_of(record),
            "rows": [{**row, "state": cell_state(row)} for row in rows],
            "first": int(asked),
            "open_only": "&open=1" if open_only else "",
            "following": rows[-1]["position"] + 1 if len(rows) == CHILDREN_PER_PAGE else 0,
        }
        return self._site.render(request, "steps.html", who, values)


def may_answer(record: dict[str, object], who: Identity) -> bool:
    """Whoever started a flow owns it."""
    return who.superadmin or record["created_by"] == who.username
