"""The status in Prometheus' text format. By hand: it is a line for each figure, and brings no package."""

import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from agent.figures import COMMIT_BOUNDS_S, Figures
from agent.release import version

KIND: Final = "text/plain; version=0.0.4"
STATES: Final = ("waiting", "ready", "started", "finished", "sent")
MIB: Final = 1024 * 1024

Labels = Mapping[str, object]
Sample = tuple[str, Labels, float]  # what follows the family's name, labels, value


def text_of(seen: dict[str, Any], figures: Figures) -> str:
    """`seen`: the status of `agent.status.read`; where it has an `error`, only what we counted is shown."""
    families = [*_of_process(figures)]
    if "error" not in seen:
        families += [*_of_custody(seen), *_of_spool(seen["spool"], seen)]
    return "".join(families)


def _of_process(figures: Figures) -> Iterator[str]:
    yield _family(
        "build_info", "gauge", "Always 1; says which release runs.", ("", {"version": version()}, 1)
    )
    yield _one("start_time_seconds", "gauge", "When the agent began.", figures.began_at)
    yield _family(
        "jobs_ended_total", "counter", "Jobs that ended here since then.",
        ("", {"outcome": "success"}, figures.succeeded), ("", {"outcome": "failure"}, figures.failed),
    )  # fmt: skip
    yield _one("links_total", "counter", "How often the link came up.", figures.links)
    yield _one(
        "log_dropped_characters_total", "counter", "Log text of jobs that found no room.", figures.log_dropped
    )
    commits = figures.commits
    bounds = zip(COMMIT_BOUNDS_S, commits.within, strict=True)
    yield _family(
        "spool_commit_seconds", "histogram", "What the disk took for a commit, its fsync included.",
        *(("_bucket", {"le": f"{bound_s:g}"}, count) for bound_s, count in bounds),
        ("_bucket", {"le": "+Inf"}, commits.count),
        ("_sum", {}, commits.total_s), ("_count", {}, commits.count),
    )  # fmt: skip
    yield _one("resident_memory_bytes", "gauge", "Memory of the agent, its jobs not counted.", _resident())


def _of_custody(seen: dict[str, Any]) -> Iterator[str]:
    yield _one("link_up", "gauge", "1 while the link is up.", seen["link"] == "up")
    yield _one("link_state_seconds", "gauge", "For how long it has been so.", seen["link_since_s"] or 0)
    yield _family(
        "custody_jobs", "gauge", "Jobs and results that the site holds.",
        *(("", {"state": state}, seen["custody"].get(state, 0)) for state in STATES),
    )  # fmt: skip
    yield _one("backlog_results", "gauge", "Results that wait to leave.", seen["backlog"])
    yield _one("backlog_oldest_seconds", "gauge", "Age of the oldest of them.", seen["backlog_age_s"] or 0)
    yield _one("quarantined_rows", "gauge", "Damaged rows that were set aside.", seen["quarantined"])
    waits = seen["bundles"]
    yield _one("bundle_waiting_jobs", "gauge", "Jobs that wait for what they import.", waits.get("jobs", 0))
    yield _one("bundle_used_bytes", "gauge", "What is kept of what jobs import.", waits.get("used", 0))


def _of_spool(room: dict[str, Any], seen: dict[str, Any]) -> Iterator[str]:
    """Its bound is the quota; without one, what the disk has above the floor."""
    used, free = room["used_mb"], room["free_mb"]
    most = used + max(0.0, free - room.get("floor_mb", 0.0))
    quota = room.get("quota_mb")
    yield _one("spool_used_bytes", "gauge", "What the spool uses.", used * MIB)
    yield _one("spool_most_bytes", "gauge", "What it may use.", min(most, quota or most) * MIB)
    yield _one("spool_free_bytes", "gauge", "What its disk has free.", free * MIB)
    yield _one("spool_reserved_bytes", "gauge", "Promised to running jobs.", room.get("reserved_mb", 0) * MIB)
    yield _one("spool_log_bytes", "gauge", "Log text that waits to leave.", room.get("log_mb", 0) * MIB)
    yield _one("spool_takes_jobs", "gauge", "1 while it has room for new jobs.", room.get("takes_jobs", True))
    yield _one("spool_fault", "gauge", "1 while its disk refuses.", bool(room.get("fault")))
    waiting = room.get("waiting_for_room", 0) if seen["agent"] == "running" else 0
    yield _one("room_waiting_jobs", "gauge", "Jobs that wait for room in the spool.", waiting)


def _one(name: str, kind: str, said: str, value: float) -> str:
    return _family(name, kind, said, ("", {}, value))


def _family(name: str, kind: str, said: str, *samples: Sample) -> str:
    whole = f"orvanta_site_{name}"
    lines = [f"# HELP {whole} {said}\n# TYPE {whole} {kind}\n"]
    for ending, labels, value in samples:
        shown = ",".join(f'{label}="{text}"' for label, text in labels.items())
        lines.append(
            f"{whole}{ending}{{{shown}}} {float(value)}\n" if shown else f"{whole}{ending} {float(value)}\n"
        )
    return "".join(lines)


def _resident() -> int:
    """0 where nobody can tell."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        return 0
    return pages * os.sysconf("SC_PAGE_SIZE")
