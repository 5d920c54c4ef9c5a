"""The lane in which a job waits: its tag, or one that only normal workers pull.

`queue.tag` is the lane, `job.tag` is what people see. Agents run neither flows nor dependency jobs, whatever
tag such a job bears (openflow.md 4, 6.1), so these wait where no agent looks.
"""

from collections.abc import Iterable
from typing import Final

FLOW: Final = "flow"
DEPENDENCY: Final = "dependency"
FLOW_KINDS: Final = frozenset({"flow", "flowpreview", "flownode", "singlestepflow", "identity"})
DEPENDENCY_KINDS: Final = frozenset({"dependencies", "flowdependencies"})


def lane_of(kind: str, tag: str) -> str:
    """Where a job of this kind and tag waits: that of the workspace, when the tag names it."""
    if kind in FLOW_KINDS:
        return tag if is_of(FLOW, tag) else FLOW
    if kind in DEPENDENCY_KINDS:
        return tag if is_of(DEPENDENCY, tag) else DEPENDENCY
    return tag


def is_reserved(lane: str) -> bool:
    """Whether only normal workers take from it."""
    return is_of(FLOW, lane) or is_of(DEPENDENCY, lane)


def of_agents(tags: Iterable[str]) -> list[str]:
    """Those that an agent may pull, in their order."""
    return [tag for tag in tags if not is_reserved(tag)]


def is_of(lane: str, tag: str) -> bool:
    """Whether the tag is this lane, or its workspace's own."""
    return tag == lane or tag.startswith(f"{lane}-")
