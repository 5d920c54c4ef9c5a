"""What an expression may look up, and what it may use up."""

from dataclasses import dataclass
from typing import Final, Protocol

MB: Final = 1024 * 1024


class LookupFailed(Exception):
    """What was asked for is not there or not allowed; the expression sees an Error with this message."""


class Lookups(Protocol):
    """What expressions can ask for besides their names. Each answer is JSON text.

    Each is asked for at most once in an evaluation, several at a time. All but `result_by_id` may raise
    `LookupFailed`.
    """

    async def variable(self, path: str) -> bytes: ...
    async def resource(self, path: str) -> bytes: ...
    async def flow_user_state(self, key: str) -> bytes: ...
    async def result_by_id(self, step_id: str, path: tuple[str | int, ...]) -> bytes:
        """`null` for a step that is unknown or has not ended, and where `path` leads nowhere."""


@dataclass(frozen=True, slots=True)
class Limits:
    """Of one evaluation. The time is of computing; what waits for lookups does not count."""

    time_s: float = 20.0
    memory_mb: int = 128
    lookups: int = 1000
