"""How the bridge names an agent's turn: HTTP headers of a 429 answer to enrolment."""

import math
from collections.abc import Mapping
from typing import Final

ADMITTED_IN_S: Final = "Orvanta-Admitted-In-S"  # exact, where Retry-After has whole seconds only
LONGEST_S: Final = 3600.0  # an agent believes no longer wait than this


def headers_of(wait_s: float) -> dict[str, str]:
    """Rounded up to the millisecond, so that who waits exactly so long does not come early."""
    exact_s = math.ceil(wait_s * 1000 - 1e-3) / 1000
    return {"Retry-After": str(math.ceil(exact_s)), ADMITTED_IN_S: f"{exact_s:.3f}"}


def wait_of(headers: Mapping[str, str]) -> float | None:
    """Seconds until this agent's turn; None when no bridge of ours said so, or nothing sensible."""
    try:
        wait_s = float(headers.get(ADMITTED_IN_S, ""))
    except ValueError:
        return None
    return wait_s if 0 <= wait_s <= LONGEST_S else None
