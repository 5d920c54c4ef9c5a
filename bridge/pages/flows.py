"""/flows: the deployed flows of a workspace."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import BadRequest
from bridge.flows.deployed import FlowFilter, Flows
from bridge.pages.new_run import FLOW
from bridge.pages.site import Site
from bridge.runs.service import Runs
from bridge.tokens.model import Identity

PER_PAGE: Final = 100
PAGE_DIGITS: Final = 6


class FlowsPage:
    def __init__(self, site: Site, runs: Runs, flows: Flows) -> None:
        self._site = site
        self._runs = runs
        self._flows = flows

    def routes(self) -> list[Route]:
        return [self._site.page_for_people("/flows", self._page)]

    async def _page(self, request: Request, who: Identity) -> Response:
        workspaces = await self._runs.workspaces()
        workspace = request.query_params.get("workspace") or workspaces[0]
        if workspace not in workspaces:
            raise BadRequest(f"there is no workspace {workspace!r}")
        page = _page_number(request.query_params.get("page", "1"))
        listed = await self._flows.listed(workspace, FlowFilter(page=page, per_page=PER_PAGE))
        values = {
            "flows": listed,
            "workspace": workspace,
            "workspaces": workspaces,
            "choice": FLOW,
            "following": page + 1 if len(listed) == PER_PAGE else 0,
        }
        return self._site.render(request, "flows.html", who, values)


def _page_number(text: str) -> int:
    if not text.isdecimal() or len(text) > PAGE_DIGITS or int(text) == 0:
        raise BadRequest(f"page must be a whole number above 0, not {text[:40]!r}")
    return int(text)
