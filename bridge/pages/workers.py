"""/workers: which sites are up, what each holds, what is stuck."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.fleet.model import Agent
from bridge.fleet.service import Fleet, Fleets
from bridge.fleet.wishes import Wishes
from bridge.pages.fleet_view import Asked, Shown, shown
from bridge.pages.live import Fragments, Live, digest
from bridge.pages.plots import day_of
from bridge.pages.site import Site
from bridge.pages.strips import Strip, strip
from bridge.pages.units import by_month, this_month
from bridge.tokens.model import Identity
from bridge.web.bodies import json_reply, typed_query

CALM_S: Final = 10.0
ROWS_KEPT: Final = 5000  # rendered rows that are remembered


class WorkerPages:
    def __init__(self, site: Site, live: Live, fleets: Fleets, wishes: Wishes) -> None:
        self._site = site
        self._live = live
        self._fleets = fleets
        self._wishes = wishes
        self._rows: dict[str, tuple[Agent, Strip, str]] = {}  # by worker: what was rendered of what

    def routes(self) -> list[Route]:
        return [
            self._site.page("/workers", self._workers),
            self._site.page("/workers/live", self._stream),
            self._site.page("/workers/units", self._units),
            self._site.page("/workers/history", self._history),
        ]

    async def _workers(self, request: Request, who: Identity) -> Response:
        asked = typed_query(request, Asked)
        fleet = await self._fleets.now()
        now = shown(fleet, asked)
        fragments = self._fragments(fleet, now)
        live = asked.link().replace("/workers", "/workers/live", 1)
        values = {
            "asked": asked,
            "shown": now,
            "groups": sorted({(one.group, fleet.titles.get(one.group, one.group)) for one in fleet.agents}),
            "rows": {agent.worker: self._row(agent, fleet) for agent in now.agents},
            "here": asked.link(),
            "live": f"{live}{'&' if '?' in live else '?'}known={digest(fragments)}",
            **self._summary_values(fleet, now),
        }
        is_part = request.headers.get("hx-target") == "fleet"
        return self._site.render(request, "_workers.html" if is_part else "workers.html", who, values)

    async def _stream(self, request: Request, _: Identity) -> Response:
        asked = typed_query(request, Asked)

        async def look() -> Fragments:
            fleet = await self._fleets.now()
            return self._fragments(fleet, shown(fleet, asked))

        async def beside() -> None:
            await self._wishes.look_at(shown(await self._fleets.now(), asked).agents)

        known = request.query_params.get("known", "")
        return self._live.stream(request, asked.link(), look, known, beside)

    async def _units(self, request: Request, who: Identity) -> Response:
        values = {"months": by_month((await self._fleets.now()).months)}
        return self._site.over(request, "_units.html", who, values)

    async def _history(self, _: Request, __: Identity) -> Response:
        """For the chart."""
        return json_reply(day_of(await self._fleets.now()))

    def _fragments(self, fleet: Fleet, now: Shown) -> Fragments:
        """All that may change on this page, by the names under which it listens."""
        counts = {
            f"counts-{group.name}": self._site.text("_counts.html", {"counts": group.counts})
            for group in now.groups
        }
        return {
            "summary": self._site.text("_summary.html", self._summary_values(fleet, now)),
            **counts,
            **{f"row-{agent.worker}": self._row(agent, fleet) for agent in now.agents},
            "membership": digest({"": now.membership}),
        }

    def _summary_values(self, fleet: Fleet, now: Shown) -> Mapping[str, object]:
        return {
            "counts": now.counts,
            "missing": fleet.missing_tags,
            "is_deaf": self._wishes.is_deaf,
            "done": sum(sum(jobs.values()) for jobs in fleet.history.done_while_down.values()),
            "units": this_month(fleet.months, fleet.now_s),
        }

    def _row(self, agent: Agent, fleet: Fleet) -> str:
        """Rendered again only when something of it is another; escaped by its template."""
        drawn = strip(agent, fleet.history)
        seen = _calm(agent)
        before = self._rows.get(agent.worker)
        if before is not None and before[:2] == (seen, drawn):
            return before[2]
        text = self._site.text("_row.html", {"agent": seen, "strip": drawn})
        if len(self._rows) >= ROWS_KEPT:
            self._rows.clear()
        self._rows[agent.worker] = (seen, drawn, text)
        return text


def _calm(agent: Agent) -> Agent:
    """Without what changes with each ping and is not shown so exactly."""
    since, offset_ms = agent.backlog_since, agent.clock_offset_ms
    return replace(
        agent,
        last_heard=0.0,
        backlog_since=None if since is None else round(since / CALM_S) * CALM_S,
        clock_offset_ms=None if offset_ms is None else round(offset_ms, -3),
        spool_bytes=_about(agent.spool_bytes),
        spool_most_bytes=_about(agent.spool_most_bytes),
    )


def _about(count: int | None) -> int | None:
    """To four places."""
    return None if count is None else round(count, min(0, 4 - len(str(count))))
