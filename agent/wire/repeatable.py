"""How a cluster says which of its calls may be sent again after a lost answer (docs/compatibility.md).

The original knows no such header, and there a repeated call is done twice.
"""

from collections.abc import Mapping
from typing import Final

REPEATABLE: Final = "Orvanta-Repeatable"
PUSH_LOGS: Final = "push_logs"  # with the queries `writer` and `offset`
PULL_JOB: Final = "pull_job"  # with the header below
REQUEST_ID: Final = "Idempotency-Key"
FIRST: Final = "Orvanta-First"  # with a key that was never sent: nothing can have been got by it


def headers_of(*calls: str) -> dict[str, str]:
    return {REPEATABLE: ", ".join(calls)}


def repeatable(headers: Mapping[str, str]) -> frozenset[str]:
    """`headers`: of an answer to `get_min_version`; names in lower case, or in a mapping that ignores it."""
    told = headers.get(REPEATABLE.lower(), "")
    return frozenset(name.strip() for name in told.split(",") if name.strip())
