"""What is recorded and judged: calls on a real store, and what each changes of what must be there."""

from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Final, Generic, Protocol, TypeVar

S = TypeVar("S")  # the store
K = TypeVar("K")  # what it keeps, as a value that can be compared

WALL_S: Final = 1_750_000_000.0


class StillClock:
    """What is written does not depend on when."""

    def monotonic_s(self) -> float:
        return 1000.0

    def wall_s(self) -> float:
        return WALL_S


@dataclass(frozen=True, slots=True)
class Call(Generic[S, K]):
    """One await on the real store, and the same as a change of what it must keep."""

    text: str
    make: Callable[[S], Awaitable[object]]
    change: Callable[[K], object]


Together = Sequence[Call[S, K]]  # awaited at once: they may share one commit


@dataclass(frozen=True, slots=True)
class Life(Generic[S, K]):
    """One process: it opens the store, makes the calls one group after the other, and ends."""

    groups: Sequence[Together[S, K]]
    is_killed: bool  # else it closes the store

    @property
    def calls(self) -> list[Call[S, K]]:
        return [call for group in self.groups for call in group]


class Work(Protocol[S, K]):
    """A store with its calls. Made anew from its name and size in every process, always the same."""

    lives: Sequence[Life[S, K]]
    database: str  # its path in the folder
    migrations: Sequence[str]
    mends_damage: bool  # else a damaged one does not open
    recovery: Life[S, K]  # what every start does beside opening; it changes nothing of what is kept

    def nothing(self) -> K:
        """What an empty store keeps."""
        ...

    def opened(self, folder: Path) -> AbstractAsyncContextManager[S]:
        """The real store in this folder, opened as the product does."""
        ...

    def note(self, store: S) -> str:
        """What the first opening has decided for ever."""
        ...

    async def kept(self, store: S) -> K:
        """What the store says that it keeps. May write to it: it is asked once."""
        ...

    async def flaws(self, store: S) -> list[str]:
        """What must not be after any power cut, whatever was confirmed."""
        ...


def expected(work: Work[S, K], confirmed: Sequence[int], under_way: Sequence[int]) -> list[K]:
    """What may be there: all that was confirmed, and of the calls under way each whole or not at all (I3)."""
    calls = all_calls(work)
    base = work.nothing()
    for number in confirmed:
        calls[number].change(base)
    options = []
    for count in range(len(under_way) + 1):
        for some in combinations(under_way, count):
            option: Any = deepcopy(base)
            for number in some:
                calls[number].change(option)
            options.append(option)
    return options


def all_calls(work: Work[S, K]) -> list[Call[S, K]]:
    """Every call has the number of its place in this list."""
    return [call for life in work.lives for call in life.calls]
