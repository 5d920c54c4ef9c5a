"""Which messages of a queue came before one and are still in other workers' hands."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

Earlier = frozenset[asyncio.Future[None]]


class Turns:
    def __init__(self) -> None:
        self._in_hand: set[asyncio.Future[None]] = set()

    @contextmanager
    def turn(self) -> Iterator[Earlier]:
        """While the block lasts, this message is in hand too."""
        earlier = frozenset(self._in_hand)
        done = asyncio.get_running_loop().create_future()
        self._in_hand.add(done)
        try:
            yield earlier
        finally:
            self._in_hand.discard(done)
            done.set_result(None)


async def all_over(earlier: Earlier) -> None:
    if earlier:
        await asyncio.wait(earlier)
