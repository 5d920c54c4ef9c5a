"""The agent API as one worker calls it: paths, bodies, and what each failure means (agent-api.md 2)."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, Final
from urllib.parse import quote

import httpx

from agent.errors import AnswerLost, LinkDown, TokenRefused, Unwanted
from agent.link.http.holdings import Key
from agent.tls.http import client, why_http
from agent.tls.outbound import BadTls, Outbound
from agent.tls.reasons import tls_error
from agent.wire import proofs, quarantine
from agent.wire.claims import JobId
from agent.wire.errors import Unresolved
from agent.wire.messages import Blob, Want
from agent.wire.repeatable import FIRST, REQUEST_ID

CONNECT_S: Final = 10.0
REQUEST_S: Final = 30.0
KEPT_OPEN_S: Final = 4.0  # servers close what is idle for 5 s, and a request on such a connection is lost
ALL: Final = "/api/agent_workers"
AGAIN: Final = (408, 425, 429, 503)  # not taken, and taken later
BYTES: Final = {"Content-Type": "application/octet-stream"}
Check = Callable[[httpx.Response], None]
USER_AGENT: Final = "Windmill-Agent/1.0"  # what clusters expect of an agent worker


class Api:
    def __init__(self, client: httpx.AsyncClient, outbound: Outbound) -> None:
        self._client = client
        self._outbound = outbound
        self.renew = asyncio.Event()  # an answer said that it is time to enrol again

    async def update_ping(self, body: Mapping[str, Any]) -> None:
        with _always_there():
            await self._post(f"{ALL}/update_ping", body)

    async def pull(
        self,
        *,
        key: str = "",
        is_first: bool = False,
        tags: str | None = None,
        languages: str | None = None,
        wait_s: float = 0.0,
        check: Check | None = None,
    ) -> dict[str, Any] | None:
        """A JobAndPerms, or None when there is none. `is_first`: no pull with this key was ever sent.

        `check` sees the answer's bytes before they are read.
        """
        headers = _waiting(wait_s) | ({REQUEST_ID: key} if key else {}) | ({FIRST: "1"} if is_first else {})
        wanted = {"tags": tags, "languages": languages}
        params = {name: text for name, text in wanted.items() if text is not None}
        with _always_there():
            pulled: dict[str, Any] | None = await self._post(
                f"{ALL}/pull_job", None, headers=headers, params=params, wait_s=wait_s, check=check
            )
        return pulled

    async def held_jobs(self, body: Mapping[str, Any], wait_s: float = 0.0) -> dict[str, Any]:
        with _always_there():
            reply: dict[str, Any] = await self._post(
                f"{ALL}/held_jobs", body, headers=_waiting(wait_s), wait_s=wait_s
            )
        return reply

    async def ping_job(self, job_id: JobId) -> dict[str, Any]:
        body = {"mem_peak": None, "current_mem": None}
        reply: dict[str, Any] = await self._post(f"{ALL}/ping_job_status/{_word(job_id)}", body)
        return reply

    async def send_result(
        self, workspace: str, job_id: JobId, body: bytes | AsyncIterator[bytes], signature: str = ""
    ) -> None:
        headers = {proofs.SIGNATURE: signature} if signature else {}
        await self._request("POST", f"{_in(workspace)}/send_result/{_word(job_id)}", body, headers=headers)

    async def ask_quarantine(self, workspace: str, key: Key) -> str:
        """How a result stands there, with a token that is refused; empty: it does not say now."""
        return await self._quarantined(workspace, key, b"", {quarantine.HEADER: quarantine.ASK})

    async def offer_result(self, workspace: str, key: Key, body: AsyncIterator[bytes], signature: str) -> str:
        """The same, and bring the result."""
        headers = {proofs.SIGNATURE: signature} if signature else {}
        return await self._quarantined(workspace, key, body, headers)

    async def _quarantined(
        self, workspace: str, key: Key, body: bytes | AsyncIterator[bytes], headers: Mapping[str, str]
    ) -> str:
        path = f"{_in(workspace)}/send_result/{_word(key[0])}"
        answer = await self._answer("POST", path, body, headers=headers, params={"attempt": key[1]})
        is_refusal = answer.status_code == httpx.codes.UNAUTHORIZED
        return answer.headers.get(quarantine.HEADER, "") if is_refusal else ""

    async def result_part(self, workspace: str, part: Blob) -> None:
        place = {"sha256": part.sha256, "index": part.index}
        path = f"{_in(workspace)}/result_part/{_word(part.job_id)}"
        await self._request("POST", path, part.part, params=place, headers=BYTES)

    async def push_log(self, workspace: str, job_id: JobId, text: str, place: Mapping[str, Any]) -> None:
        await self._post(f"{_in(workspace)}/push_logs/{_word(job_id)}", text, params=place)

    async def queue_own_job(self, content: str, *, periodic: bool) -> str:
        """The id of a job for a script of this worker's own, which nobody else gets (agent-api.md 6)."""
        name = "queue_periodic_job" if periodic else "queue_init_job"
        return str(await self._post(f"{ALL}/{name}", {"content": content}))

    async def same_worker_job(self, job_id: str) -> dict[str, Any] | None:
        """A JobAndPerms, of a job that this worker queued for itself."""
        body = {"job_id": job_id, "recoverable": False}
        held: dict[str, Any] | None = await self._post(f"{ALL}/same_worker_job/{_word(job_id)}", body)
        return held

    async def custom_envs(self, workspace: str) -> dict[str, str]:
        return dict(await self._request("GET", f"{_in(workspace)}/custom_envs"))

    async def named_value(self, path: str, token: str) -> Any:
        """A variable's or a resource's value, as the job with this token may see it. Raises `Unresolved`."""
        try:
            return await self._request("GET", path, headers={"Authorization": f"Bearer {token}"})
        except TokenRefused:  # the job's: the agent's own is as good as it was
            raise Unresolved(f"{path} may not be read by this job") from None
        except Unwanted as error:
            raise Unresolved(str(error)) from error

    async def bundle(self, want: Want) -> dict[str, Any]:
        """What it consists of."""
        place = {"platform": want.platform, "have": want.have, "of": want.of}
        found: dict[str, Any] = await self._request("GET", f"{ALL}/bundle/{_word(want.bundle)}", params=place)
        return found

    async def needed_bundles(self) -> list[str]:
        return list(map(str, await self._request("GET", f"{ALL}/bundles")))

    async def artefact(self, want: Want) -> bytes:
        """Its bytes from `start` on, `size` of them at most."""
        path = f"{ALL}/artefact/{_word(want.sha256)}"
        place = {"bundle": want.bundle, "platform": want.platform, "have": want.have, "of": want.of}
        headers = {"Range": f"bytes={want.start}-{want.start + want.size - 1}"}
        answer = await self._answer("GET", path, None, headers=headers, params=place)
        _judge(answer, f"GET {path}")
        if answer.status_code != httpx.codes.PARTIAL_CONTENT:  # a proxy that knows no ranges
            return answer.content[want.start : want.start + want.size]
        return answer.content

    async def deployed(self, path: str) -> dict[str, Any]:
        """Code that a job came without, with all that is told of it."""
        found: dict[str, Any] = await self._request("GET", path)
        return found

    async def _post(
        self,
        path: str,
        body: object,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        wait_s: float = 0.0,
        check: Check | None = None,
    ) -> Any:
        text = json.dumps(body, ensure_ascii=True).encode()
        return await self._request(
            "POST", path, text, headers=headers, params=params, wait_s=wait_s, check=check
        )

    async def _request(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, Any] | None = None,
        wait_s: float = 0.0,
        check: Check | None = None,
    ) -> Any:
        """The answer's JSON. Raises `LinkDown`, `AnswerLost`, `TokenRefused`, `Unwanted`."""
        answer = await self._answer(method, path, body, headers=headers, params=params, wait_s=wait_s)
        _judge(answer, f"{method} {path}")
        if check is not None:
            check(answer)
        try:
            return answer.json()
        except ValueError as error:  # a captive portal, or another server: it has taken nothing
            raise LinkDown(f"{method} {path} answered something that is not JSON") from error

    async def _answer(
        self,
        method: str,
        path: str,
        body: bytes | AsyncIterator[bytes] | None,
        *,
        headers: Mapping[str, str] | None,
        params: Mapping[str, Any] | None,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        """Whatever it says. Raises `LinkDown`, `AnswerLost`."""
        timeout = httpx.Timeout(REQUEST_S, connect=CONNECT_S, read=REQUEST_S + wait_s)
        try:
            answer = await self._client.request(
                method, path, content=body, headers=headers, params=params or None, timeout=timeout
            )
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.ProxyError) as error:
            reason = await why_http(error, str(self._client.base_url), self._outbound)
            raise LinkDown(f"cluster unreachable: {reason}") from error
        except (httpx.HTTPError, OSError) as error:
            reason = f"{type(error).__name__}: {error}"
            if tls_error(error) is not None:
                reason = await why_http(error, str(self._client.base_url), self._outbound)
            raise AnswerLost(f"no answer to {method} {path}: {reason}") from error
        if proofs.RENEW in answer.headers:
            self.renew.set()
        return answer


@contextmanager
def _always_there() -> Iterator[None]:
    """What belongs to no job is never refused by the cluster that we take it for."""
    try:
        yield
    except Unwanted as error:
        raise LinkDown(str(error)) from error


def _judge(answer: httpx.Response, what: str) -> None:
    if answer.is_success:
        return
    status, text = answer.status_code, answer.text[:200].strip()
    if status in (httpx.codes.UNAUTHORIZED, httpx.codes.FORBIDDEN):
        raise TokenRefused(f"the cluster refused the agent token ({text}); set AGENT_TOKEN to a new one")
    if status in AGAIN or not answer.is_error:  # a redirect leads away from the API
        raise LinkDown(f"{what} answered {status}: {text}")
    if answer.is_server_error:
        raise AnswerLost(f"{what} answered {status}: {text}")
    raise Unwanted(f"{what} answered {status}: {text}")


def client_for(base_url: str, bearer: str, outbound: Outbound) -> httpx.AsyncClient:
    """The caller closes it. Raises `LinkDown`."""
    headers = {
        "Authorization": f"Bearer {bearer}",
        "User-Agent": USER_AGENT,
        "Content-Type": "application/json",
    }
    limits = httpx.Limits(keepalive_expiry=KEPT_OPEN_S)
    try:
        return client(outbound, base_url=base_url, headers=headers, limits=limits)
    except BadTls as error:
        raise LinkDown(str(error)) from error


def _waiting(wait_s: float) -> dict[str, str]:
    return {"Prefer": f"wait={wait_s:.0f}"} if wait_s else {}


def _in(workspace: str) -> str:
    return f"/api/w/{_word(workspace)}/agent_workers"


def _word(text: str) -> str:
    """One segment of a path, whatever it is made of."""
    return quote(text, safe="")
