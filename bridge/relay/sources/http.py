"""Any Orvanta over the HTTP agent API, exactly as an agent worker sees it (agent-api.md 1 to 3)."""

import asyncio
import json
from collections.abc import Sequence
from typing import Any, Final

import httpx

from agent.logs import Secret
from agent.wire.agent_api import script_number, worker_ping
from agent.wire.claims import JobId, Tag
from agent.wire.messages import Result
from agent.wire.tokens import bearer_of, said_by
from bridge.errors import ClusterDown, TokenRefused
from bridge.relay.ledger import Custody
from bridge.relay.sources.source import PingReply, Pulled, job_completed, pulled_from

CONNECT_S: Final = 10.0
REQUEST_S: Final = 30.0
POLL_S: Final = 1.0  # the API has no long poll (agent-api.md 2.2)


class HTTPSource:
    """One upstream token is one lane: the cluster chooses among all its tags."""

    ping_every_s = 10.0

    def __init__(self, base_url: str, token: Secret, suffix: str) -> None:
        # Unverified: it is our own token, and the cluster checks it on every call.
        self._tags = frozenset(Tag(tag) for tag in said_by(token.reveal())["tags"])
        self._client = httpx.AsyncClient(
            base_url=base_url,
            timeout=httpx.Timeout(REQUEST_S, connect=CONNECT_S),
            headers={
                "Authorization": f"Bearer {bearer_of(token.reveal(), suffix)}",
                "User-Agent": "Windmill-Agent/1.0",
                "Content-Type": "application/json",
            },
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def announce(self, instance: str) -> None:
        """The Initial ping (agent-api.md 2.3), which puts the bridge on the Workers page."""
        await self._post(
            "/api/agent_workers/update_ping", worker_ping("Initial", instance, sorted(self._tags))
        )

    def lanes(self, served: frozenset[Tag]) -> Sequence[frozenset[Tag]]:
        return [self._tags] if self._tags & served else []

    async def pull(self, lane: frozenset[Tag]) -> Pulled | None:
        del lane  # the token says it
        reply = await self._post(
            "/api/agent_workers/pull_job", None
        )  # never retried: a lost answer is a lost job
        if reply is None:
            return None
        code = None
        if reply.get("raw_code") is None and reply["job"].get("runnable_id"):
            number = script_number(reply["job"]["runnable_id"])
            code = (await self._get(f"/api/agent_workers/script/{number}"))["content"]
        return pulled_from(reply, code)

    async def put_back(self, out: frozenset[JobId]) -> None:
        """The agent API has no way to give a job back (agent-api.md 2.1)."""

    async def wait(self, timeout_s: float) -> None:
        await asyncio.sleep(min(timeout_s, POLL_S))

    async def ping(self, custody: Custody) -> PingReply:
        reply = await self._post(
            f"/api/agent_workers/ping_job_status/{custody.job_id}", {"mem_peak": None, "current_mem": None}
        )
        return PingReply(
            reply.get("canceled_by"), reply.get("canceled_reason"), bool(reply.get("already_completed"))
        )

    async def send_result(self, custody: Custody, result: Result, document: bytes) -> None:
        await self._request(
            "POST",
            f"/api/w/{custody.workspace}/agent_workers/send_result/{custody.job_id}",
            job_completed(custody, result, document),
        )

    async def push_log(self, custody: Custody, writer: str, start: int, text: str, *, missing: int) -> None:
        del writer, start  # the API has none: a crash between the push and our record may repeat a chunk
        if missing:
            text = f"\n[... {missing} characters dropped: lost on the way ...]\n{text}"
        await self._post(f"/api/w/{custody.workspace}/agent_workers/push_logs/{custody.job_id}", text)

    async def _get(self, path: str) -> Any:
        return await self._request("GET", path, None)

    async def _post(self, path: str, body: object) -> Any:
        return await self._request("POST", path, json.dumps(body).encode())

    async def _request(self, method: str, path: str, body: bytes | None) -> Any:
        try:
            response = await self._client.request(method, path, content=body)
        except httpx.HTTPError as error:
            raise ClusterDown(
                f"the cluster does not answer {method} {path}: {type(error).__name__}"
            ) from error
        if response.status_code in (401, 403):
            raise TokenRefused(
                "the cluster refused the bridge's AGENT_TOKEN; mint a new one and restart the bridge"
            )
        if not response.is_success:
            raise ClusterDown(f"{method} {path} answered {response.status_code}: {response.text[:200]}")
        try:
            return response.json()
        except ValueError as error:
            raise ClusterDown(f"{method} {path} answered something that is not JSON") from error
