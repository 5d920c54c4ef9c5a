"""Every retry policy of the agent's link, by name."""

from collections.abc import Awaitable, Callable
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from agent.errors import AdmissionWaits, LinkDown

JITTER: Final = wait_random_exponential(multiplier=0.5, max=30)


def reconnect(
    sleep: Callable[[float], Awaitable[bool | None]], before_sleep: Callable[[RetryCallState], None]
) -> AsyncRetrying:
    """For ever: custody has no last attempt. Full jitter, gaps of 30 s at most, or as the bridge says.

    When `sleep` says that a network interface came up, the gaps are short again: its address follows it.
    """
    last: RetryCallState | None = None

    def noted(state: RetryCallState) -> None:
        nonlocal last
        last = state
        before_sleep(state)

    async def slept(seconds: float) -> None:
        if await sleep(seconds) and last is not None:
            last.attempt_number = 0

    return AsyncRetrying(
        retry=retry_if_exception_type(LinkDown),
        wait=_gap_s,
        sleep=slept,
        before_sleep=noted,
        reraise=True,
    )


def _gap_s(state: RetryCallState) -> float:
    """A turn that the bridge named is kept to the moment: the bridge spreads the fleet, no jitter does."""
    error = state.outcome.exception() if state.outcome else None
    return error.wait_s if isinstance(error, AdmissionWaits) else JITTER(state)
