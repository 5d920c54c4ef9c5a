"""The way to a server, hop by hop: its name, its port, a proxy, TLS. Nothing is said to it yet."""

import asyncio
import ssl
import time
from collections.abc import AsyncIterator
from typing import Any, Final
from urllib.request import proxy_bypass

from agent.site.checks import Check, Verdict, fail, failed, ok, warn
from agent.tls.dial import Place, ProxyRefused, dial, shown
from agent.tls.outbound import Outbound, is_in_clear
from agent.tls.reasons import why

HOP_S: Final = 5.0
TLS_S: Final = 15.0
RENEW_DAYS: Final = 14
DAY_S: Final = 86_400
SECURED: Final = ("https", "amqps")


async def way_to(what: str, url: str, outbound: Outbound) -> list[Check]:
    """The hops up to the first that fails. `what`: the server's part in this, such as cluster."""
    checks = []
    async for check in _hops(what, url, outbound):
        checks.append(check)
        if check.verdict is Verdict.FAIL:
            break
    return checks


def proxy_for(url: str, outbound: Outbound) -> str | None:
    """The proxy by which we go there. AMQP in the clear goes by none."""
    place = Place.of(url)
    if place.scheme in SECURED:
        return outbound.proxy_for(place.host)
    if place.scheme != "http" or not outbound.proxies or proxy_bypass(place.host, dict(outbound.proxies)):
        return None
    return outbound.proxies.get("http") or outbound.proxies.get("all")


async def _hops(what: str, url: str, outbound: Outbound) -> AsyncIterator[Check]:
    place, proxy = Place.of(url), proxy_for(url, outbound)
    first = place if proxy is None else _place_of(proxy)
    yield await _named(f"{what} name", first)
    yield await _connected(f"{what} port", first)
    if place.scheme not in SECURED:
        yield _in_clear(f"{what} tls", url)
        return
    try:
        certificate = await _certificate(place, outbound)
    except ProxyRefused as error:
        yield failed(f"{what} proxy", error)
        return
    except OSError as error:  # BadTls, SSLError and TimeoutError are
        reason = await why(error, url, outbound) or f"TLS with {place} failed: {_short(error)}"
        yield failed(f"{what} tls", reason)
        return
    if proxy is not None:
        yield ok(f"{what} proxy", f"{shown(proxy)} gives a tunnel to {place}")
    yield _of_dates(f"{what} tls", place, certificate)


async def _named(name: str, place: Place) -> Check:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(HOP_S):
            found = await loop.getaddrinfo(place.host, place.port)
    except OSError as error:  # gaierror and TimeoutError are
        return fail(
            name,
            f"the name {place.host} is not found ({_short(error)})",
            "check its spelling, the cable, and this device's name server (/etc/resolv.conf)",
        )
    addresses = sorted({str(one[4][0]) for one in found})
    if place.host in addresses:
        return ok(name, f"{place.host} is an address")
    return ok(name, f"{place.host} is {', '.join(addresses[:3])}")


async def _connected(name: str, place: Place) -> Check:
    began_s = time.monotonic()
    try:
        async with asyncio.timeout(HOP_S):
            _, writer = await asyncio.open_connection(place.host, place.port)
    except ConnectionRefusedError:
        return fail(
            name,
            f"nothing listens at {place}",
            "check the port in the address; is the server up, and does a firewall refuse for it?",
        )
    except OSError as error:
        return fail(
            name,
            f"{place} is not reached ({_short(error)})",
            "check the cable, the router, and that firewalls let this port through",
        )
    took_ms = (time.monotonic() - began_s) * 1000
    writer.transport.abort()
    return ok(name, f"{place} answers in {took_ms:.0f} ms")


async def _certificate(place: Place, outbound: Outbound) -> dict[str, Any]:
    """What the server showed, checked. Raises OSError."""
    async with asyncio.timeout(TLS_S):
        _, writer = await dial(place, outbound.context(), outbound)
    certificate: dict[str, Any] = writer.get_extra_info("peercert") or {}
    writer.transport.abort()
    return certificate


def _of_dates(name: str, place: Place, certificate: dict[str, Any]) -> Check:
    ends_s = ssl.cert_time_to_seconds(certificate["notAfter"])
    days = int((ends_s - time.time()) / DAY_S)
    said = f"the certificate of {place} is trusted, until {time.strftime('%Y-%m-%d', time.gmtime(ends_s))}"
    if days < RENEW_DAYS:
        return warn(name, f"{said}: {days} days", "have it renewed at the server")
    return ok(name, said)


def _in_clear(name: str, url: str) -> Check:
    place = Place.of(url)
    if not is_in_clear(url):
        return ok(name, f"{place} is on this machine, and needs none")
    return warn(
        name,
        f"tokens and jobs can be read on the way to {place}",
        f"let it end in TLS: {place.scheme}s://",
    )


def _place_of(proxy: str) -> Place:
    host, _, port = shown(proxy).rpartition(":")
    return Place("http", host, int(port))


def _short(error: OSError) -> str:
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return error.strerror or str(error) or type(error).__name__
