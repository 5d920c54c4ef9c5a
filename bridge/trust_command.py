"""`python -m bridge keys`, `devices`, `quarantine`: what an operator does about trust, beside the bridge.

`serve` has the same for devices in its API; `relay` has no people's API, so there this is the only way.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

from agent.clock import SystemClock
from agent.wire.claims import Claims
from bridge import quarantine_command
from bridge.config import store_of
from bridge.devices.service import Devices, Rules
from bridge.errors import ConfigError
from bridge.relay.ledger import Ledger
from bridge.relay.signer import rotate
from bridge.store.connection import open_store
from bridge.store.on_server import OnServer
from bridge.store.store import Store

Say = Callable[[str], None]
Does = Callable[[Store, str], Awaitable[Any]]


def run(asked: argparse.Namespace, env: Mapping[str, str], say: Say) -> int:
    """Prints one JSON document. The exit code. Raises `ConfigError`."""
    store = store_in_use(env)
    does = DOES[asked.command, asked.do]
    say(json.dumps(asyncio.run(_done(store, does, getattr(asked, "id", "")))))
    return 0


def store_in_use(env: Mapping[str, str]) -> Path | OnServer:
    """Raises `ConfigError` when there is none: a command makes no new one."""
    store = store_of(env)
    if isinstance(store, Path) and not store.exists():
        raise ConfigError(f"BRIDGE_STORE: there is no {store}; name the one that the bridge uses.")
    return store


async def _done(where: Path | OnServer, does: Does, named: str) -> Any:
    store = await open_store(where)
    try:
        return await does(store, named)
    finally:
        await store.close()


async def _list_keys(store: Store, _id: str) -> Any:
    kids = list(await Ledger(store, SystemClock()).keys())
    return [{"kid": kid, "signs": number == 0} for number, kid in enumerate(kids)]


async def _rotate(store: Store, _id: str) -> Any:
    return {"kid": await rotate(Ledger(store, SystemClock()))}


async def _retire(store: Store, kid: str) -> Any:
    if not await Ledger(store, SystemClock()).retire_key(kid):
        raise ConfigError(f"{kid} is the last key, or none of them; rotate first, and see `keys list`.")
    return {"retired": kid}


async def _list_devices(store: Store, _id: str) -> Any:
    return await (await devices_of(store)).listed()


async def _approve(store: Store, kid: str) -> Any:
    if not await (await devices_of(store)).approve(kid, "the command line"):
        raise ConfigError(f"no device {kid} has come; see `devices list`.")
    return {"approved": kid}


async def _forget(store: Store, kid: str) -> Any:
    if not await (await devices_of(store)).forget(kid):
        raise ConfigError(f"no device {kid} is known; see `devices list`.")
    return {"forgotten": kid}


async def devices_of(store: Store) -> Devices:
    return await Devices.open(store, SystemClock(), _nobody, _noted, Rules())


async def _nobody(_bearer: str) -> Claims | None:
    """No token is shown here."""
    return None


async def _noted(_claims: Claims) -> None: ...


DOES: Final[Mapping[tuple[str, str], Does]] = {
    ("keys", "list"): _list_keys,
    ("keys", "rotate"): _rotate,
    ("keys", "retire"): _retire,
    ("devices", "list"): _list_devices,
    ("devices", "approve"): _approve,
    ("devices", "forget"): _forget,
    **quarantine_command.DOES,
}
