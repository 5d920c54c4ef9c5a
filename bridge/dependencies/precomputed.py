"""What a python3 job without a lock needs, in the words of agents that cannot find it out (agent-api.md 3.3).

A preview has no lock: it says what it needs itself. What it imports of the workspace is not looked at here.
"""

from msgspec import Struct

from bridge.dependencies import python_version
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import strongest
from bridge.dependencies.python_needs import Needs, needs_of


class PrecomputedPython(Struct):
    """As an agent reads it; `py_version` is for agents of old."""

    py_version_v2: str | None
    requirements: str | None  # one to a line
    py_version: int | None = None


def precomputed(code: str) -> PrecomputedPython | None:
    """None when the script needs nothing. Pure."""
    needs = needs_of(code)
    requirements = "\n".join(strongest(needs.requirements))
    version = _version(needs)
    if version is None and not requirements:
        return None
    return PrecomputedPython(version, requirements or None)


def _version(needs: Needs) -> str | None:
    """None also for one that there is none of: the agent takes its own."""
    try:
        return python_version.chosen(needs.versions) if needs.asks_version else None
    except NotResolved:
        return None
