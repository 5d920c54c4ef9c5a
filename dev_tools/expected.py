"""Progress of what tells nothing of itself before it is over: by the seconds that it usually takes."""

import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Final

from agent.progress import progress

TICK_S: Final = 0.5


@contextmanager
def expected(what: str, seconds: float) -> Iterator[Callable[[], None]]:
    """Until the block ends, or what it yields is called. Where it takes longer the bar stands at its end."""
    over = threading.Event()
    with ExitStack() as shown:
        advance = shown.enter_context(progress(what, seconds))

        def tick() -> None:
            while not over.wait(TICK_S):
                advance(TICK_S)

        ticking = threading.Thread(target=tick, name="progress")
        ticking.start()
        shown.callback(ticking.join)
        shown.callback(over.set)
        yield shown.close
