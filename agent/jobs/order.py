"""Jobs in an order of their own, smallest rank first; each step costs the logarithm of how many there are."""

from heapq import heapify, heappop, heappush
from typing import Final, TypeAlias

from agent.jobs.model import Key

Rank: TypeAlias = tuple[float, ...]

STALE_MAX: Final = 1000  # entries of the heap that may be out of date beyond those that are not


class Order:
    def __init__(self) -> None:
        self._ranks: dict[Key, Rank] = {}  # wins over the heap, whose other entries are stale
        self._heap: list[tuple[Rank, Key]] = []

    def put(self, key: Key, rank: Rank) -> None:
        if self._ranks.get(key) != rank:
            self._ranks[key] = rank
            heappush(self._heap, (rank, key))

    def drop(self, key: Key) -> None:
        """Idempotent. The heap is made anew now and then, so that it stays as small as what is in it."""
        if self._ranks.pop(key, None) is None or len(self._heap) <= 2 * len(self._ranks) + STALE_MAX:
            return
        self._heap = [(rank, key) for key, rank in self._ranks.items()]
        heapify(self._heap)

    def first(self, most: int, up_to: Rank | None = None) -> list[Key]:
        """The first `most` keys, none with a rank beyond `up_to`."""
        found: list[tuple[Rank, Key]] = []
        while self._heap and len(found) < most:
            rank, key = self._heap[0]
            if up_to is not None and rank > up_to:
                break
            entry = heappop(self._heap)
            if self._ranks.get(key) == rank and (not found or found[-1] != entry):
                found.append(entry)
        for entry in found:
            heappush(self._heap, entry)
        return [key for _, key in found]
