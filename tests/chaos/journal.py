"""What the jobs themselves wrote: every start and end, seen from outside of the product."""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Start:
    site: str
    attempt: int
    pid: int
    at_s: float


def read_starts(journals: Mapping[str, Path]) -> Mapping[str, list[Start]]:
    """Job id → its starts, from the journal of each site."""
    starts: dict[str, list[Start]] = defaultdict(list)
    for site, path in journals.items():
        for job_id, attempt, pid, at_s in _lines(path, "S"):
            starts[job_id].append(Start(site, int(attempt), int(pid), float(at_s)))
    return starts


def _lines(path: Path, mark: str) -> Iterable[list[str]]:
    if not path.exists():
        return []
    words = (line.split() for line in path.read_text().splitlines())
    return [rest for first, *rest in words if first == mark]
