"""Back pressure: how many jobs of a lane may be pulled now (DESIGN section 7). Pure."""

from collections.abc import Mapping

from agent.wire.claims import Tag


def room_in(lane: frozenset[Tag], waiting: Mapping[Tag, int], ready_max: int) -> int:
    """Jobs that may be pulled before the fullest tag of the lane has `ready_max` waiting in the broker (I6).

    The cluster keeps order, priority and cancel for what is not pulled.
    """
    fullest = max((waiting.get(tag, 0) for tag in lane), default=ready_max)
    return max(0, ready_max - fullest)
