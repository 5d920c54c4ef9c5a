"""What changes on a page, sent as it changes: server-sent events, one look for all who watch the same.

A look gives the page's fragments by name. It is taken at most once in `EVERY_S`, by whichever viewer comes
first, and the others take what it found. A viewer is sent what differs from what it was sent last.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Final

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from agent.clock import Clock
from agent.database import DatabaseError
from bridge.errors import NotAuthorized, PermissionDenied

EVERY_S: Final = 1.0
KEEP_ALIVE_S: Final = 15.0  # proxies on the way end an answer that is silent for longer
RETRY_MS: Final = 2000  # how soon a browser comes back after a break

Fragments = Mapping[str, str]
Look = Callable[[], Awaitable[Fragments]]
Beside = Callable[[], Awaitable[None]]
MaySee = Callable[[Request], Awaitable[object]]  # raises for who may not, or no longer


class _Shared:
    """One look, and those who watch it."""

    def __init__(self, look: Look, clock: Clock) -> None:
        self.viewers = 0
        self._look = look
        self._clock = clock
        self._turn = asyncio.Lock()
        self._found: Fragments = {}
        self._looked_s: float | None = None  # monotonic

    async def fragments(self) -> Fragments:
        async with self._turn:
            now_s = self._clock.monotonic_s()
            if self._looked_s is None or now_s - self._looked_s >= EVERY_S * 0.9:
                self._found = await self._look()
                self._looked_s = now_s
            return self._found


class Live:
    """Of this process. Several bridges on one store look each for its own viewers."""

    def __init__(self, clock: Clock, may_see: MaySee) -> None:
        self._clock = clock
        self._may_see = may_see
        self._shared: dict[str, _Shared] = {}
        self._closing = asyncio.Event()

    def close(self) -> None:
        """Every stream ends, so that the server can."""
        self._closing.set()

    @property
    def viewers(self) -> int:
        return sum(shared.viewers for shared in self._shared.values())

    def stream(
        self, request: Request, key: str, look: Look, known: str = "", beside: Beside | None = None
    ) -> Response:
        """What `look` gives, as it changes. `key` names what is looked at.

        `known`: the digest of what the page was made of; while that is what there is, nothing is sent.
        `beside`: called each time that this viewer is looked for.
        """
        events = self._events(request, key, look, _Viewer(known, beside))
        return StreamingResponse(events, media_type="text/event-stream", headers={"x-accel-buffering": "no"})

    async def _events(self, request: Request, key: str, look: Look, viewer: "_Viewer") -> AsyncIterator[str]:
        shared = self._shared.setdefault(key, _Shared(look, self._clock))
        shared.viewers += 1
        try:
            yield f"retry: {RETRY_MS}\n\n"
            async for text in self._changes(request, shared, viewer):
                yield text
        finally:
            shared.viewers -= 1
            if not shared.viewers and self._shared.get(key) is shared:
                del self._shared[key]

    async def _changes(self, request: Request, shared: _Shared, viewer: "_Viewer") -> AsyncIterator[str]:
        quiet_since_s = self._clock.monotonic_s()
        while not self._closing.is_set():
            try:
                await self._may_see(request)
                found = await shared.fragments()
                await viewer.look_beside()
            except (NotAuthorized, PermissionDenied):
                return
            except DatabaseError:
                found = {}  # the store is away: what was sent stays, and says how old it is
            changed = viewer.changed(found)
            now_s = self._clock.monotonic_s()
            if changed or now_s - quiet_since_s >= KEEP_ALIVE_S:
                quiet_since_s = now_s
                yield "".join(_event(name, text) for name, text in changed.items()) or ": still here\n\n"
            await self._until_the_next()

    async def _until_the_next(self) -> None:
        try:
            async with asyncio.timeout(EVERY_S):
                await self._closing.wait()
        except TimeoutError:
            return


class _Viewer:
    """What one viewer has."""

    def __init__(self, known: str, beside: Beside | None) -> None:
        self._known = known
        self._beside = beside
        self._sent: dict[str, str] = {}

    async def look_beside(self) -> None:
        if self._beside is not None:
            await self._beside()

    def changed(self, found: Fragments) -> dict[str, str]:
        """What has to be sent; from now on it has it."""
        if self._known and found:
            if digest(found) == self._known:
                self._sent = dict(found)
            self._known = ""
        changed = {name: text for name, text in found.items() if self._sent.get(name) != text}
        self._sent.update(changed)
        return changed


def digest(fragments: Fragments) -> str:
    """Names a set of fragments."""
    whole = hashlib.sha256()
    for name, text in sorted(fragments.items()):
        whole.update(f"{name}\n{text}\n".encode())
    return whole.hexdigest()[:16]


def _event(name: str, text: str) -> str:
    data = "\n".join(f"data: {line}" for line in text.splitlines())
    return f"event: {name}\n{data}\n\n"
