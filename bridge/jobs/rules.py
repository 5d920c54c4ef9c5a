"""What the jobs' records must know of how custody is kept."""

from typing import Protocol

from agent.wire.claims import Tag
from agent.wire.messages import Delivery


class Rules(Protocol):
    """How custody of a tag's jobs is kept (`relay/policy.py`)."""

    def lost_after(self, tag: Tag, asked_s: float | None = None) -> float: ...

    def delivery(self, tag: Tag, asked: Delivery) -> Delivery: ...

    def may_replace(self, tag: Tag, delivery: Delivery) -> bool: ...
