"""`python -m bridge quarantine`: an operator decides on late results, beside the running bridge.

The wish goes into the store, and the bridge that leads carries it out: it alone speaks to the cluster.
`serve` has the same in its API; `relay` has no people's API, so there this is the only way.
"""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from functools import partial
from typing import Any, Final

from agent.clock import SystemClock
from agent.wire.claims import Attempt, JobId, WorkerName
from bridge.errors import ConfigError
from bridge.relay.shelf import Kept, Shelf, Wish
from bridge.store.store import Store

CARRIED_OUT_S: Final = 10.0  # a bridge that runs looks every second
LOOK_EVERY_S: Final = 0.2

Does = Callable[[Store, str], Awaitable[Any]]


async def _list(store: Store, _id: str) -> Any:
    return [{"id": _id_of(row), **row} for row in await _shelf(store).listed()]


async def _show(store: Store, named: str) -> Any:
    row = await _shelf(store).undecided(_kept(named))
    if row is None or row["document"] is None:
        raise _nothing(named)
    return json.loads(row["document"])


async def _wish(wish: Wish, store: Store, named: str) -> Any:
    return await carried_out(_shelf(store), named, wish, CARRIED_OUT_S)


async def carried_out(shelf: Shelf, named: str, wish: Wish, within_s: float) -> dict[str, str]:
    """What came of it. Raises `ConfigError` when it cannot be carried out, with the reason."""
    kept = _kept(named)
    if not await shelf.wish(kept, wish):
        raise _nothing(named)
    until_s = time.monotonic() + within_s
    while time.monotonic() < until_s:
        decision, refusal = await shelf.answer(kept)
        if refusal is not None:
            raise ConfigError(f"{named}: {refusal}")
        if decision is not None:
            return {decision: named}
        await asyncio.sleep(LOOK_EVERY_S)
    return {f"to {wish}": named, "waits_for": "a bridge that runs on this store, and its cluster"}


def _shelf(store: Store) -> Shelf:
    return Shelf(store, SystemClock())


def _id_of(row: Mapping[str, Any]) -> str:
    return f"{row['job_id']}/{row['attempt']}/{row['worker']}"


def _kept(named: str) -> Kept:
    """Raises `ConfigError`."""
    job, _, rest = named.partition("/")
    attempt, _, worker = rest.partition("/")
    if not job or not attempt.isdecimal() or not worker:
        raise ConfigError(f"{named!r} is no id of a result (job/attempt/worker); see `quarantine list`.")
    return Kept(JobId(job), Attempt(int(attempt)), WorkerName(worker))


def _nothing(named: str) -> ConfigError:
    return ConfigError(f"no result {named} waits with its document; see `quarantine list`.")


DOES: Final[Mapping[tuple[str, str], Does]] = {
    ("quarantine", "list"): _list,
    ("quarantine", "show"): _show,
    ("quarantine", "accept"): partial(_wish, Wish.ACCEPT),
    ("quarantine", "reject"): partial(_wish, Wish.REJECT),
}
