"""Where every job is, per site: a live table with an estimate on a terminal, lines elsewhere."""

import sqlite3
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from rich.console import Console, Group
from rich.live import Live
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn
from rich.table import Table

from agent import status
from agent.errors import AgentError
from dev_tools.demo.world import World

USUAL_S: Final = 30.0  # from the first job to the last result
PLACES: Final = ("cluster", "broker", "site", "running", "result spooled", "recorded")
CUSTODY_PLACES: Final = {"taken": "cluster", "published": "broker", "accepted": "site"}


@dataclass(slots=True)
class Seen:
    """What the demo knows of its jobs. `first` is what was recorded when it was first seen."""

    site_of: dict[str, str] = field(default_factory=dict)
    first: dict[str, str] = field(default_factory=dict)  # job → completed_at
    place_of: dict[str, str] = field(default_factory=dict)

    def note(self, custody: dict[str, Any], completed: Mapping[str, dict[str, Any]]) -> None:
        rows = {row["job_id"]: row for row in custody["custody"]}
        for job_id in self.site_of:
            if job_id in completed:
                self.first.setdefault(job_id, completed[job_id]["completed_at"])
                self.place_of[job_id] = "recorded"
            elif job_id in rows:
                row = rows[job_id]
                running = row["state"] == "accepted" and row["started_at"] is not None
                self.place_of[job_id] = "running" if running else CUSTODY_PLACES.get(row["state"], "site")
            else:
                self.place_of[job_id] = "cluster"

    def counts(self, site: str) -> Counter[str]:
        return Counter(
            self.place_of.get(job_id, "cluster") for job_id, at in self.site_of.items() if at == site
        )


class Board:
    def __init__(self, world: World, seen: Seen, *, quiet: bool) -> None:
        self._world = world
        self._seen = seen
        self._console = Console(stderr=quiet)
        self._live: Live | None = None
        self._has_lines = True  # somebody reads a log instead of a terminal
        if sys.stderr.isatty():
            terminal = Console(stderr=True)
            self._live = Live(console=terminal, auto_refresh=False)
            self._has_lines = not quiet and not sys.stdout.isatty()
            self._console = self._console if self._has_lines else terminal
        self._bar = Progress(
            TextColumn("the demo"),
            BarColumn(),
            TaskProgressColumn(),
            TimeRemainingColumn(),
            auto_refresh=False,
        )
        self._task = self._bar.add_task("", total=USUAL_S)
        self._began_s = time.monotonic()

    def __enter__(self) -> Self:
        self._began_s = time.monotonic()
        if self._live is not None:
            self._live.start()
        return self

    def __exit__(self, *_error: object) -> None:
        if self._live is not None:
            self._draw(self._live, USUAL_S)
            self._live.stop()

    def say(self, text: str) -> None:
        self._console.print(text, highlight=False)

    def show(self) -> None:
        if self._live is not None:
            self._draw(self._live, time.monotonic() - self._began_s)

    def _draw(self, live: Live, done_s: float) -> None:
        self._bar.update(self._task, completed=min(done_s, USUAL_S))
        live.update(Group(self._table(), self._bar.get_renderable()), refresh=True)

    def show_line(self) -> None:
        """One line a site, for whoever reads a log instead of a terminal."""
        if self._has_lines:
            for shop in self._world.shops:
                counts = self._places(shop.name)
                where = ", ".join(f"{counts[place]} {place}" for place in PLACES if counts[place])
                self.say(f"  {shop.name:5} link {self._link(shop.name):4}  {where}")

    def _table(self) -> Table:
        table = Table("site", "link", *PLACES, title="Where every job is")
        for shop in self._world.shops:
            counts = self._places(shop.name)
            table.add_row(shop.name, self._link(shop.name), *(str(counts[place] or "") for place in PLACES))
        return table

    def _link(self, name: str) -> str:
        return "up" if self._world.links[name].is_up else "DOWN"

    def _places(self, name: str) -> Counter[str]:
        """What the cluster knows, corrected by the site's own spool, which knows more while it is cut off."""
        counts = self._seen.counts(name)
        try:
            here = status.read(self._world.spool(name))["custody"]
        except (AgentError, sqlite3.Error):
            return counts
        at_site = counts["site"] + counts["running"]
        counts["running"] = min(here.get("started", 0), at_site)
        counts["result spooled"] = min(
            here.get("finished", 0) + here.get("sent", 0), at_site - counts["running"]
        )
        counts["site"] = at_site - counts["running"] - counts["result spooled"]
        return counts
