"""Opens a stream to a server, through a tunnel where a proxy stands between (HTTP CONNECT)."""

import asyncio
import ssl
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import SplitResult, unquote, urlsplit

from agent.tls.outbound import Outbound

PROXY_S: Final = 15.0

PORTS: Final = {"http": 80, "https": 443, "amqp": 5672, "amqps": 5671}

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass(frozen=True, slots=True)
class Place:
    """A server, as an address names it."""

    scheme: str
    host: str
    port: int

    @classmethod
    def of(cls, url: str) -> "Place":
        parts = urlsplit(url)
        return cls(parts.scheme, parts.hostname or "", parts.port or PORTS[parts.scheme])

    def __str__(self) -> str:
        return f"{self.host}:{self.port}"


class ProxyRefused(OSError):
    """No tunnel to be had. The text is whole: what is wrong, and the mend."""


async def dial(place: Place, context: ssl.SSLContext | None, outbound: Outbound, **options: Any) -> Stream:
    """`context` None: in the clear, and by no proxy. `options`: of `asyncio.open_connection`.

    Raises OSError (`ssl.SSLError` and `ProxyRefused` are).
    """
    proxy = None if context is None else outbound.proxy_for(place.host)
    if proxy is None:
        return await asyncio.open_connection(place.host, place.port, ssl=context, **options)
    return await _tunnelled(place, context, proxy)


def refused_by_proxy(place: Place, proxy: str, said: str) -> str:
    return (
        f"the proxy {shown(proxy)} gives no tunnel to {place} ({said}); let it allow this port (many allow "
        f"443 only), give its user and password, or name {place.host} in NO_PROXY"
    )


def shown(proxy: str) -> str:
    """Without its user and password."""
    at = _address(proxy)
    return f"{at.hostname}:{at.port or PORTS[at.scheme]}"


def _address(proxy: str) -> SplitResult:
    return urlsplit(proxy if "://" in proxy else f"http://{proxy}")


async def _tunnelled(place: Place, context: ssl.SSLContext | None, proxy: str) -> Stream:
    from python_socks import ProxyError, ProxyType  # noqa: PLC0415 most sites have no proxy
    from python_socks.async_.asyncio import Proxy  # noqa: PLC0415 see above

    at = _address(proxy)
    if at.scheme != "http":
        raise ProxyRefused(refused_by_proxy(place, proxy, "AMQPS goes by an http:// proxy only"))
    user, password = (None if one is None else unquote(one) for one in (at.username, at.password))
    client = Proxy(ProxyType.HTTP, at.hostname or "", at.port or PORTS["http"], user, password)
    try:
        raw = await client.connect(place.host, place.port, timeout=PROXY_S)
    except (ProxyError, OSError) as error:
        raise ProxyRefused(refused_by_proxy(place, proxy, str(error))) from error
    try:
        return await asyncio.open_connection(sock=raw, ssl=context, server_hostname=place.host)
    except BaseException:
        raw.close()
        raise
