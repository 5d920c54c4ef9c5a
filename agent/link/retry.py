"""Every retry policy of the agent's link, by name."""

from collections.abc import Awaitable, Callable
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from agent.errors import AdmissionWaits, LinkDown

JITTER: Final = wait_random_exponential(multiplier=0.5, max=30)


def reconnect(
    sleep: Callable[[float], Awaitable[None]], before_sleep: Callable[[RetryCallState], None]
) -> AsyncRetrying:
    """For ever: custody has no last attempt. Full jitter, gaps of 30 s at most, or as the bridge says."""
    return AsyncRetrying(
        retry=retry_if_exception_type(LinkDown),
        wait=_gap_s,
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )


def _gap_s(state: RetryCallState) -> float:
    """A turn that the bridge named is kept to the moment: the bridge spreads the fleet, no jitter does."""
    error = state.outcome.exception() if state.outcome else None
    return error.wait_s if isinstance(error, AdmissionWaits) else JITTER(state)
