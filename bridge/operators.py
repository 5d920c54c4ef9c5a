"""What operators ask of the bridge on the command line, beside the one that runs."""

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path

from agent.clock import SystemClock
from bridge import config
from bridge.agents.static_users import StaticUsers
from bridge.broker.setup import rabbitmq_conf
from bridge.config import Settings
from bridge.errors import ConfigError
from bridge.store.connection import open_store
from bridge.tokens.seen import SeenTokens


def broker(what: str, env: Mapping[str, str]) -> str:
    """The text of `python -m bridge broker config|permissions`. Raises `ConfigError`."""
    settings = config.read(env, relay_only=False)
    if what == "config":
        return rabbitmq_conf(settings.base_url, settings.outbound.ca_file)
    return asyncio.run(_permissions(settings))


async def _permissions(settings: Settings) -> str:
    """Definitions on stdout; on stderr the users to delete, because an import deletes nobody."""
    if settings.amqp_url is None:
        raise ConfigError("AMQP_URL is missing; it names the virtual host in which agents get permissions")
    if isinstance(settings.store, Path) and not settings.store.exists():
        raise ConfigError(f"BRIDGE_STORE: there is no store at {settings.store}; name the running bridge's")
    clock = SystemClock()
    store = await open_store(settings.store)
    try:
        users = await StaticUsers.open(store)
        text, ended = await users.permissions(
            SeenTokens(store, clock), config.vhost_of(settings.amqp_url), clock
        )
    finally:
        await store.close()
    for login in ended:
        print(f"rabbitmqctl delete_user '{login}'", file=sys.stderr)
    return text
