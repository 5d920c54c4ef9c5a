"""/runs: the newest jobs of a workspace, by what one looks for, live."""

from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import Any
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.errors import BadRequest
from bridge.pages.live import Fragments, Live, digest
from bridge.pages.run_words import name_of, state_of, worker_of
from bridge.pages.site import Site
from bridge.runs.service import STATES, Runs, Wanted
from bridge.tokens.model import Identity

FILTERS = ("state", "tag", "path", "worker", "created_by")


class RunsPages:
    def __init__(self, site: Site, live: Live, runs: Runs) -> None:
        self._site = site
        self._live = live
        self._runs = runs

    def routes(self) -> list[Route]:
        return [
            self._site.page_for_people("/runs", self._page),
            self._site.page_for_people("/runs/live", self._stream),
        ]

    async def _page(self, request: Request, who: Identity) -> Response:
        wanted, workspaces = await self._asked(request)
        found = await self._fragments(wanted)
        values = {
            "wanted": wanted,
            "workspaces": workspaces,
            "states": STATES,
            "tags": await self._runs.tags(),
            "live": f"/runs/live?{_query(wanted)}&known={digest(found)}" if not wanted.before else "",
            "is_filtered": any(getattr(wanted, name) for name in FILTERS),
            "rows": found["runs"],
        }
        return self._site.render(request, "runs.html", who, values)

    async def _stream(self, request: Request, _: Identity) -> Response:
        wanted = (await self._asked(request))[0]

        known = request.query_params.get("known", "")
        return self._live.stream(request, f"runs {wanted}", lambda: self._fragments(wanted), known)

    async def _fragments(self, wanted: Wanted) -> Fragments:
        return {"runs": self._site.text("_runs.html", await self._rows(wanted))}

    async def _rows(self, wanted: Wanted) -> dict[str, object]:
        listed = await self._runs.listed(wanted)
        older = f"/runs?{_query(replace(wanted, before=listed.older))}" if listed.older else ""
        return {
            "runs": [_shown(row) for row in listed.runs],
            "older": older,
            "looked_through": listed.looked_through,
            "is_first": not wanted.before,
        }

    async def _asked(self, request: Request) -> tuple[Wanted, list[str]]:
        """Raises `BadRequest`."""
        workspaces = await self._runs.workspaces()
        asked = {name: request.query_params.get(name, "").strip() for name in (*FILTERS, "steps", "before")}
        wanted = Wanted(workspace=request.query_params.get("workspace") or workspaces[0], **asked)
        if wanted.state and wanted.state not in STATES:
            raise BadRequest(f"state must be one of {', '.join(STATES)}, not {wanted.state!r}")
        if wanted.workspace not in workspaces:
            raise BadRequest(f"there is no workspace {wanted.workspace!r}")
        return wanted, workspaces


def _query(wanted: Wanted) -> str:
    return urlencode({name: value for name, value in asdict(wanted).items() if value})


def _shown(row: Mapping[str, Any]) -> dict[str, object]:
    custody = row["custody"]
    return {
        **row,
        "state": state_of(row, custody),
        "worker": worker_of(row, custody),
        "attempt": custody["attempt"] if custody is not None else 1,
        "name": name_of(row),
    }
