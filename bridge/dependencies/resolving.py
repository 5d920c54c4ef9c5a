"""What a request comes down to, by the resolver of its language; for a while it is remembered."""

import tempfile
from collections import OrderedDict
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.clock import Clock
from bridge.dependencies.commands import Say
from bridge.dependencies.compiling import compile_lock
from bridge.dependencies.gathering import PythonRequest, Request
from bridge.dependencies.npm_locking import npm_lock
from bridge.dependencies.resolution import Resolution

REMEMBERED_S: Final = 300.0
REMEMBERED: Final = 200  # requests (I6)


class Resolver:
    """`environment`: of the tools, as `tools.environment_of` gives it."""

    def __init__(self, environment: Mapping[str, str], clock: Clock) -> None:
        self._environment = environment
        self._clock = clock
        self._known: OrderedDict[Request, tuple[float, Resolution]] = (
            OrderedDict()
        )  # when, monotonic; oldest first

    async def resolve(self, request: Request, say: Say) -> Resolution:
        """Raises `NotResolved`. Resolved for another job in the last five minutes, it is the same."""
        known = self._known.get(request)
        if known is not None and self._clock.monotonic_s() - known[0] < REMEMBERED_S:
            await say("as resolved less than five minutes ago\n")
            return known[1]
        with tempfile.TemporaryDirectory(prefix="orvanta-lock-") as folder:
            if isinstance(request, PythonRequest):
                found = await compile_lock(request, Path(folder), self._environment, say)
            else:
                found = await npm_lock(request, Path(folder), self._environment, say)
        self._known[request] = (self._clock.monotonic_s(), found)
        self._known.move_to_end(request)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)
        return found
