"""A site's token in wrong hands: it logs in at the broker as the agent does, and tries what it may not."""

from collections.abc import Awaitable, Callable
from typing import Final
from urllib.parse import quote, urlsplit

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError

from agent.wire.claims import WorkerName
from agent.wire.tokens import bearer_of, broker_login, token_id

Try = Callable[[AbstractChannel], Awaitable[object]]

REFUSALS: Final = ("ACCESS_REFUSED", "PRECONDITION_FAILED - user_id property", "NOT_ALLOWED")


class Intruder:
    """`worker` is the name that it takes: any suffix that the token allows."""

    def __init__(
        self, amqp_url: str, worker: str, token: str, *, login: str | None = None, password: str | None = None
    ) -> None:
        suffix = worker.rpartition("-")[2]
        bearer = bearer_of(token, suffix)
        self.login: Final = login or broker_login(WorkerName(worker), token_id(bearer))
        parts = urlsplit(amqp_url)
        self.password: Final = password or bearer
        named = f"{quote(self.login, safe='')}:{quote(self.password, safe='')}@{parts.hostname}:{parts.port}"
        self._url: Final = parts._replace(netloc=named)
        self._connection: AbstractConnection | None = None

    async def connect(self, vhost: str | None = None) -> AbstractConnection:
        url = self._url if vhost is None else self._url._replace(path=vhost)
        return await aio_pika.connect(url.geturl())

    async def attempt(self, what: Try) -> str:
        """What the broker says to it, on a channel of its own; empty when it allows it."""
        if self._connection is None or self._connection.is_closed:
            self._connection = await self.connect()
        try:
            channel = await self._connection.channel()
            await what(channel)
            await channel.close()
        except (AMQPError, ChannelInvalidStateError) as refused:
            return str(refused)
        return ""

    async def leave(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None

    async def log_in(self, vhost: str | None = None) -> str:
        """As `attempt`, for the log-in itself."""
        try:
            await (await self.connect(vhost)).close()
        except (AMQPError, OSError) as refused:
            return str(refused)
        return ""


def is_refusal(said: str) -> bool:
    return any(one in said for one in REFUSALS)
