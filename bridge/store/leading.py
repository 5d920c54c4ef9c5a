"""Which bridge of a store leads: it alone relays, sweeps and ticks. Every bridge serves the whole API."""

from collections.abc import Callable, Coroutine
from typing import Any, Final, Protocol

Part = Callable[[], Coroutine[Any, Any, None]]


class Leadership(Protocol):
    @property
    def leads(self) -> bool:
        """Whether this bridge leads now."""
        ...

    async def run(self, lead: Part, stand_by: Part) -> None:
        """For ever: `lead` while this bridge leads, else `stand_by`; each is cancelled when that changes."""
        ...


class Alone:
    """The one bridge of a store that only one process may have."""

    leads: Final = True

    async def run(self, lead: Part, stand_by: Part) -> None:
        del stand_by
        await lead()
