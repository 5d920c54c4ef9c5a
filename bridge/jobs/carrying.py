"""Where what jobs import is carried to sites: a job that is handed out names the bundle of it."""

from collections.abc import Awaitable, Callable

from bridge.jobs.model import Pulled

Carry = Callable[[Pulled], Awaitable[Pulled]]  # gives the job its bundle's name


async def carry_nothing(pulled: Pulled) -> Pulled:
    """Of a cluster that sends no bundles."""
    return pulled
