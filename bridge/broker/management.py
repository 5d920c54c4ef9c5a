"""RabbitMQ's management API: the one way to end a connection that is not ours."""

from types import TracebackType
from typing import Final, Self
from urllib.parse import quote, urlsplit

import httpx

from agent.logs import Secret
from agent.tls.http import client
from agent.tls.outbound import Outbound
from bridge.errors import BrokerDown

REQUEST_S: Final = 5.0


class Management:
    def __init__(self, url: Secret, outbound: Outbound) -> None:
        """`url`: http(s)://user:password@host:port, of a user with the tag `monitoring`."""
        self._api = client(outbound, base_url=url.reveal(), timeout=REQUEST_S)
        self._where: Final = urlsplit(url.reveal()).hostname

    async def end_connections(self, login: str, reason: str) -> None:
        """Every connection of this user, now; none is fine too. Raises `BrokerDown`."""
        path = f"/api/connections/username/{quote(login, safe='')}"
        try:
            answer = await self._api.delete(path, headers={"X-Reason": reason})
            answer.raise_for_status()
        except (httpx.HTTPError, OSError) as error:
            # The error's own text may hold the address with its password.
            raise BrokerDown(
                f"RabbitMQ's management API at {self._where} ended no connection: {_said(error)}"
            ) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._api.aclose()


def _said(error: Exception) -> str:
    if isinstance(error, httpx.HTTPStatusError):
        return (
            f"it answered {error.response.status_code} (MANAGEMENT_URL needs a user with the tag monitoring)"
        )
    return type(error).__name__
