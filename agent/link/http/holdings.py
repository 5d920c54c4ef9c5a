"""What a link over HTTP must know of the jobs in custody, since it is asked for each of them by name."""

from collections.abc import AsyncIterator, Sequence
from typing import Protocol

from agent.wire.claims import Attempt, JobId
from agent.wire.messages import Job, Result

Key = tuple[JobId, Attempt]


class Holdings(Protocol):
    @property
    def version(self) -> int:
        """Grows with every change of custody."""
        ...

    async def newer_than(self, version: int) -> None: ...

    async def keys(self) -> list[Key]:
        """Every job in custody: waiting, running, ended and not yet recorded."""
        ...

    async def ungranted(self) -> list[Key]:
        """at_most_once jobs that wait for their grant."""
        ...

    async def sent(self) -> list[Result]:
        """Results that have left and of which no receipt came."""
        ...

    async def ended(self) -> list[Key]:
        """Jobs that have a result and no receipt, whether it has left or not."""
        ...

    async def result(self, key: Key) -> Result | None:
        """None when its bytes are damaged, or it is let go."""
        ...

    async def let_go(self, keys: Sequence[Key]) -> None:
        """Nobody waits for these results any more."""
        ...

    async def with_log(self) -> set[Key]:
        """Jobs whose log text has not left in all, those that are let go among them."""
        ...

    async def job(self, key: Key) -> Job | None: ...

    def document(self, result: Result) -> AsyncIterator[bytes]:
        """The JSON text of a result, in pieces."""
        ...

    async def last_attempt(self, job_id: JobId) -> tuple[Attempt, bool]:
        """The last attempt of the job that was ever here, 0 for none; and whether it is here still."""
        ...

    async def get_note(self, name: str) -> str:
        """What the link wrote down for itself; empty when it did not."""
        ...

    async def set_note(self, name: str, text: str) -> None:
        """Durable on return."""
        ...
