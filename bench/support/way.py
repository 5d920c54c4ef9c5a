"""How long a job takes from step to step of its way, as the bridge's own ledger tells it."""

from collections.abc import Sequence
from datetime import datetime
from itertools import pairwise
from statistics import median
from typing import Any, Final

STEPS: Final = (  # the ledger's column, and what had just become durable there
    ("created_at", "submitted: in the cluster's queue"),
    ("taken_at", "taken: in the bridge's ledger"),
    ("published_at", "published: confirmed by the broker"),
    ("started_at", "started: spooled at the site, and its start as well"),
    ("closed_at", "closed: run, spooled, confirmed, recorded in the cluster, let go of"),
)


def way(custody: Sequence[dict[str, Any]], created_at: dict[str, str]) -> list[tuple[str, float]]:
    """For each step after the first: its words, and the median milliseconds since the step before."""
    rows = [
        row | {"created_at": datetime.fromisoformat(created_at[row["job_id"]]).timestamp()}
        for row in custody
        if row["job_id"] in created_at and row["closed_at"] and row["started_at"]
    ]
    return [
        (words, median((row[after] - row[before]) * 1000 for row in rows))
        for (before, _), (after, words) in pairwise(STEPS)
    ]
