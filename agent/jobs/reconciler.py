"""What a row found at start means. Pure: recovery has mended the files, the book acts."""

from collections.abc import Sequence

from agent.jobs.model import Event, Held, State
from agent.wire.messages import Delivery, canceled_error


def after_crash(job: Held) -> Event:
    """The event that recovery records for a job found `STARTED`."""
    if job.delivery is Delivery.AT_MOST_ONCE:
        return Event.ABANDONED  # I2: started once is started for ever
    if job.canceled_by is not None or job.interruptions >= job.max_interruptions:
        return Event.ABANDONED  # unwanted, or poison
    return Event.INTERRUPTED


def reconcile(started: Sequence[Held]) -> list[tuple[Held, Event]]:
    """For each job that a crash left in mid-air, what happens to it now."""
    return [(job, after_crash(job)) for job in started if job.state is State.STARTED]


def why_abandoned(job: Held) -> dict[str, str]:
    """The error object of a job that may not run again."""
    if job.canceled_by is not None:
        return canceled_error(job.canceled_by, job.cancel_reason or "")
    if job.delivery is Delivery.AT_MOST_ONCE:
        return {
            "name": "Interrupted",
            "message": "the agent stopped while the job ran; at_most_once forbids a second start",
        }
    return {
        "name": "Poison",
        "message": f"the agent stopped {job.interruptions + 1} times while this job ran; it is not run again",
    }
