"""For how long a running job may be silent."""

from typing import Final

from agent.wire.claims import Tag
from bridge.jobs.lanes import FLOW, is_of
from bridge.jobs.rules import Rules
from bridge.store.store import Row

TURN_S: Final = 15.0  # a worker that has a flow in hand pings each 2 s


def patience_with(row: Row, rules: Rules, timeout_s: float) -> float:
    """`row`: of the statement `running`.

    A stock worker keeps a job for `timeout_s` of silence, an agent of ours for its `lost_after`, and a normal
    worker the turn of a flow for a moment: the next turn does what this one did not.
    """
    if row["keeps"]:
        return rules.lost_after(Tag(row["tag"]), row["lost_after_s"])
    return min(timeout_s, TURN_S) if is_of(FLOW, row["lane"]) else timeout_s
