"""One call to a cluster over HTTP: what was done of it, in the terms of `bridge.errors`."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from agent.clock import Clock
from agent.tls.http import client, why_http
from agent.tls.outbound import SYSTEM, Outbound
from agent.tls.reasons import tls_error
from bridge.errors import AnswerLost, ClusterDown, Declined, NotTaken, TokenRefused, TooDeep
from bridge.lines import Lines

USER_AGENT: Final = "Windmill-Agent/1.0"
CONNECT_S: Final = 10.0
REQUEST_S: Final = 30.0
SLOWEST_BYTES_PER_S: Final = 16 * 1024  # a large body has more time than a small one
CONNECTIONS: Final = 128  # what pulls, results, pings and log text need at once
IDLE_S: Final = 2.0  # many servers close an idle connection after 5 s, and a call in that moment is lost
QUIET_MAX_S: Final = 300.0  # of what a Retry-After may ask: an hour without pings would end every job

TIMEOUT: Final = 408
BUSY: Final = 429
UNAVAILABLE: Final = 503


@dataclass(frozen=True, slots=True)
class Answer:
    """A 2xx whose body is JSON, and nothing else: a page that says 200 confirms nothing."""

    value: Any
    headers: Mapping[str, str]


class Upstream:
    """The connections to one cluster, and the quiet that it asked for."""

    def __init__(
        self, base_url: str, clock: Clock, request_s: float = REQUEST_S, outbound: Outbound = SYSTEM
    ) -> None:
        self._base_url = base_url
        self._outbound = outbound
        self._clock = clock
        self._request_s = request_s
        self._quiet_until_s = 0.0  # monotonic
        self._client = client(
            outbound,
            base_url=base_url,
            transport=_straight(base_url, outbound),
            timeout=httpx.Timeout(request_s, connect=CONNECT_S, pool=CONNECT_S),
            limits=httpx.Limits(
                max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS, keepalive_expiry=IDLE_S
            ),
            headers={"User-Agent": USER_AGENT},
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, path: str, bearer: str) -> Answer:
        return await self._ask("GET", path, None, {"Authorization": f"Bearer {bearer}"}, None)

    async def post(
        self,
        path: str,
        bearer: str,
        body: bytes,
        *,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body` is JSON. Waits first while the cluster has asked for quiet."""
        named = {"Authorization": f"Bearer {bearer}", "Content-Type": "application/json", **(headers or {})}
        return await self._ask("POST", path, body, named, query)

    async def _ask(
        self,
        method: str,
        path: str,
        body: bytes | None,
        headers: Mapping[str, str],
        query: Mapping[str, str] | None,
    ) -> Answer:
        await asyncio.sleep(max(0.0, self._quiet_until_s - self._clock.monotonic_s()))
        call = f"{method} {path}"
        try:
            async with asyncio.timeout(self._request_s + len(body or b"") / SLOWEST_BYTES_PER_S):
                response = await self._client.request(
                    method, path, content=body, headers=headers, params=query
                )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            reason = await why_http(error, self._base_url, self._outbound)
            raise NotTaken(f"the cluster cannot be reached for {call}: {reason}") from error
        except (httpx.HTTPError, TimeoutError) as error:
            reason = type(error).__name__
            if tls_error(error) is not None:
                reason = await why_http(error, self._base_url, self._outbound)
            raise AnswerLost(f"the cluster did not answer {call}: {reason}") from error
        if not response.is_success:
            raise self._refusal(call, response)
        try:
            return Answer(json.loads(response.content), response.headers)
        except ValueError as error:
            raise AnswerLost(f"{call} answered something that is not JSON") from error
        except RecursionError as error:
            raise TooDeep(f"{call} answered JSON that is nested too deep") from error

    def _refusal(self, call: str, response: httpx.Response) -> ClusterDown:
        """What a status says of the call (agent-api.md section 2)."""
        status = response.status_code
        told = f"{call} answered {status}: {response.text[:200].strip()}"
        if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
            return TokenRefused(f"the cluster refused the token: {told}")
        asked_s = _retry_after_s(response.headers.get("retry-after"), self._clock.wall_s())
        if asked_s is not None and status in (BUSY, UNAVAILABLE):
            quiet_until_s = self._clock.monotonic_s() + min(asked_s, QUIET_MAX_S)
            self._quiet_until_s = max(self._quiet_until_s, quiet_until_s)
            return NotTaken(told)
        if status in (TIMEOUT, BUSY):
            return NotTaken(told)
        if response.is_server_error:  # also a gateway's 502 or 503, behind which the call may have been done
            return AnswerLost(told)
        return Declined(told, status)


def _straight(base_url: str, outbound: Outbound) -> Lines | None:
    """None where the environment names a proxy for this cluster: httpx's own transport speaks to those."""
    parts, proxies = urlsplit(base_url), getproxies()
    if {parts.scheme, "all"} & proxies.keys() and not proxy_bypass(parts.hostname or ""):
        return None
    return Lines(outbound.context(), CONNECTIONS, IDLE_S)


def _retry_after_s(told: str | None, now: float) -> float | None:
    """Seconds from now: the header has a number, or a date. None when it says nothing that can be kept."""
    if told is None:
        return None
    try:
        wait_s = float(told) if told.isdecimal() else parsedate_to_datetime(told).timestamp() - now
    except (ValueError, TypeError):
        return None
    return max(0.0, wait_s)
