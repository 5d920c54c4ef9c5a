"""How the end of agents' tokens is carried out."""

from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING

import structlog

from agent.clock import Clock
from bridge.agents.revocations import EndConnections, Revocations, Revoked, Take
from bridge.config import Settings
from bridge.tokens.seen import SeenTokens

if TYPE_CHECKING:
    from bridge.broker.management import Management

log = structlog.get_logger()


async def end_tokens(
    settings: Settings, seen: SeenTokens, revoked: Revoked, clock: Clock, takers: Sequence[Take]
) -> None:
    """For ever: the end of tokens is carried out."""
    async with _connections(settings) as end_connections:
        await Revocations(seen, revoked, end_connections, clock).run(takers)


@asynccontextmanager
async def _connections(settings: Settings) -> AsyncIterator[EndConnections]:
    """How connections of agents are ended, for as long as the block lasts."""
    if settings.management_url is None:
        if settings.amqp_url is not None:
            log.warning("management.missing", mend="set MANAGEMENT_URL: without it a revoked agent that is "
                        "linked over RabbitMQ goes on receiving until its link breaks")  # fmt: skip
        yield _end_nothing
        return
    url, outbound = settings.management_url, settings.outbound
    async with AsyncExitStack() as opened:
        management: Management | None = None

        async def end_connections(login: str, reason: str) -> None:
            nonlocal management
            if management is None:
                from bridge.broker import management as api  # noqa: PLC0415 httpx, and most bridges end none

                management = await opened.enter_async_context(api.Management(url, outbound))
            await management.end_connections(login, reason)

        yield end_connections


async def _end_nothing(_login: str, _reason: str) -> None:
    """There is no broker, or no way to its connections."""
