"""Answers that are waited for, `Prefer: wait=<seconds>` (RFC 7240), for as long as the client is there."""

import asyncio
import re
from collections.abc import Coroutine
from typing import Any, Final, TypeVar

from starlette.requests import ClientDisconnect, Request

from bridge.errors import NotAuthorized

WAIT_MAX_S: Final = 60.0  # proxies on the way end a request that is silent for longer
WAIT: Final = re.compile(r"\bwait=(\d{1,9})\b")

T = TypeVar("T")


def wait_s_of(request: Request) -> float:
    """How long the client would like us to wait for something to say; 0 when it does not say."""
    found = WAIT.search(request.headers.get("prefer", ""))
    return min(float(found[1]), WAIT_MAX_S) if found else 0.0


async def unless_gone(request: Request, work: Coroutine[Any, Any, T], ended: Coroutine[Any, Any, None]) -> T:
    """What `work` gives.

    Raises `ClientDisconnect`, and ends the work, when the client leaves before; `NotAuthorized` when `ended`
    does, which returns once the client may no longer be told.
    """
    working, ending = asyncio.ensure_future(work), asyncio.ensure_future(ended)
    leaving = asyncio.ensure_future(_until_gone(request))
    try:
        await asyncio.wait((working, ending, leaving), return_when=asyncio.FIRST_COMPLETED)
        if working.done():
            return working.result()
        if ending.done():
            raise NotAuthorized("Unauthorized: the token has ended")
        raise ClientDisconnect
    finally:
        for one in (working, ending, leaving):
            one.cancel()


async def _until_gone(request: Request) -> None:
    """Its body must have been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
