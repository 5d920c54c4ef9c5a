"""A job in a normal worker's hands, and how what runs it is told to end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from agent.executor.task import Stop
from bridge.jobs.model import Pulled


@dataclass(slots=True, eq=False)
class Held:
    job: Pulled
    stop: Stop = field(default_factory=Stop)
    is_lost: bool = False  # it ended, or went to another worker: what comes of it here counts no more
    has_begun: bool = False  # something of it may have been done

    def lose(self) -> None:
        self.is_lost = True
        self.stop.request("", "the job is no longer this worker's")


# Does all that there is to do for a job, up to its recorded end where it has one now.
Handler = Callable[[Held], Awaitable[None]]
