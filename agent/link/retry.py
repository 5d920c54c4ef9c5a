"""Every retry policy of the agent's link, by name."""

from collections.abc import Awaitable, Callable

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception_type, wait_random_exponential

from agent.errors import LinkDown


def reconnect(
    sleep: Callable[[float], Awaitable[None]], before_sleep: Callable[[RetryCallState], None]
) -> AsyncRetrying:
    """For ever, full jitter, gaps of 30 s at most: custody has no last attempt."""
    return AsyncRetrying(
        retry=retry_if_exception_type(LinkDown),
        wait=wait_random_exponential(multiplier=0.5, max=30),
        sleep=sleep,
        before_sleep=before_sleep,
        reraise=True,
    )
