"""The HTTP client's part of it: a client that checks, and the reason when it reaches nobody."""

from typing import Any

import httpx

from agent.tls.dial import Place, refused_by_proxy, shown
from agent.tls.outbound import Outbound
from agent.tls.reasons import why


def client(outbound: Outbound, **options: Any) -> httpx.AsyncClient:
    """It goes by HTTPS_PROXY and NO_PROXY by itself. Raises `BadTls`."""
    return httpx.AsyncClient(verify=outbound.context(), **options)


async def why_http(error: Exception, url: str, outbound: Outbound) -> str:
    """As `why`; what the client says where there is nothing better."""
    place = Place.of(url)
    proxy = outbound.proxy_for(place.host) or "" if place.scheme == "https" else ""
    if isinstance(error, httpx.ProxyError):
        return refused_by_proxy(place, proxy, str(error))
    said = f"{type(error).__name__}: {error}"
    return await why(error, url, outbound) or (f"{said} (by the proxy {shown(proxy)})" if proxy else said)
