"""Once begun, done: a change of the book is not torn by the end of whoever asked for it."""

import asyncio
from collections.abc import Callable, Coroutine
from functools import wraps
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

T = TypeVar("T")
P = ParamSpec("P")


class Keeper(Protocol):
    in_hand: set[asyncio.Task[Any]]  # a task that nobody holds may be collected before it ends


S = TypeVar("S", bound=Keeper)
Method = Callable[Concatenate[S, P], Coroutine[Any, Any, T]]


def whole(method: Method[S, P, T]) -> Method[S, P, T]:
    """A link's life ends in the middle of a commit: what is on disk then must still reach memory.

    Without this a job whose delivery was cut off there stands on disk, unknown to the runner until a restart.
    """

    @wraps(method)
    async def run(keeper: S, /, *args: P.args, **kwargs: P.kwargs) -> T:
        task = asyncio.get_running_loop().create_task(method(keeper, *args, **kwargs), name=method.__name__)
        keeper.in_hand.add(task)
        task.add_done_callback(keeper.in_hand.discard)
        return await asyncio.shield(task)

    return run
