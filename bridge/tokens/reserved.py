"""Tags that no agent should be given: what waits in their lanes is for normal workers (openflow.md 4, 6)."""

from collections.abc import Iterable

from bridge.jobs.lanes import is_reserved


def warning_of(tags: Iterable[str]) -> str:
    """What to say of an agent token with these tags, in ASCII; empty when there is nothing to say."""
    reserved = ", ".join(ascii(tag) for tag in tags if is_reserved(tag))
    if not reserved:
        return ""
    return (
        f"{reserved}: no agent gets a job of these tags here, because flows and dependency jobs are for a "
        "normal worker; at another cluster it would get them, and fail them. Leave them out of the token."
    )
