"""What the bridge is told of something that came and is refused, for its dead letters."""

from typing import Final

from agent.link.link import Delivery
from agent.wire.messages import Rejected

BODY_SHOWN_MAX: Final = 12 * 1024 * 1024  # of a refused message, sent on whole to the dead letters
BODY_CUT: Final = 65536  # what is sent on of a larger one


def report(delivery: Delivery, reason: str) -> Rejected:
    """It names no job: that needs a proof, which the caller may have."""
    body = delivery.body
    if len(body) <= BODY_SHOWN_MAX:
        return Rejected(reason=reason, body=body)
    return Rejected(reason=f"{reason} (first {BODY_CUT} of {len(body)} bytes)", body=body[:BODY_CUT])
