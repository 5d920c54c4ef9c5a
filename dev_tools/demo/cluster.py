"""The demo as a user of the cluster: the public API and nothing else. It survives the bridge's restarts."""

import asyncio
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import httpx

from agent.tls.http import client
from agent.tls.outbound import Outbound

EMAIL: Final = "admin@orvanta.local"
REQUEST_S: Final = 10.0
PATIENCE_S: Final = 60.0
PAUSE_S: Final = 0.2


class Cluster:
    def __init__(self, base_url: str, ca_file: Path | None) -> None:
        self._outbound = Outbound(ca_file=ca_file)
        self._client = client(self._outbound, base_url=base_url, timeout=REQUEST_S)

    async def log_in(self, password: str) -> str:
        token = (await self._call("POST", "/api/auth/login", {"email": EMAIL, "password": password})).text
        self._client.headers["Authorization"] = f"Bearer {token}"
        return token

    async def mint_agent_token(self, group: str, tags: list[str], exp: int) -> str:
        asked = {"worker_group": group, "tags": tags, "exp": exp}
        token: str = (await self._call("POST", "/api/agent_workers/create_agent_token", asked)).json()
        return token

    async def deploy(self, script: dict[str, str]) -> None:
        await self._call("POST", "/api/w/main/scripts/create", script)

    async def run(self, path: str, args: dict[str, Any]) -> str:
        """Submit once: with an id of our own, a repeated call cannot make a second job."""
        job_id = str(uuid.uuid4())
        await self._call("POST", f"/api/w/main/jobs/run/p/{path}?job_id={job_id}", args, exists_is_fine=True)
        return job_id

    async def deploy_flow(self, flow: Mapping[str, Any]) -> None:
        await self._call("POST", "/api/w/main/flows/create", flow)

    async def run_flow(self, path: str, args: dict[str, Any]) -> str:
        return (await self._call("POST", f"/api/w/main/jobs/run/f/{path}", args)).text

    async def flow_status(self, job_id: str) -> dict[str, Any]:
        answer = await self._client.get(f"/api/w/main/jobs_u/get/{job_id}")
        status: dict[str, Any] = answer.raise_for_status().json()["flow_status"]
        return status

    async def resume_links(self, job_id: str, approver: str) -> dict[str, str]:
        """Signed links for a suspended step's job."""
        path = f"/api/w/main/jobs/resume_urls/{job_id}/1?approver={approver}"
        links: dict[str, str] = (await self._call("GET", path, None)).json()
        return links

    async def answer(self, link: str, payload: dict[str, Any]) -> None:
        """As whoever holds the link: without a login."""
        parts = urlsplit(link)
        async with client(self._outbound, base_url=str(self._client.base_url), timeout=REQUEST_S) as anybody:
            answered = await anybody.post(f"{parts.path}?{parts.query}", json=payload)
        answered.raise_for_status()

    async def result(self, job_id: str) -> Any:
        """None: it has not ended."""
        answer = await self._client.get(f"/api/w/main/jobs_u/completed/get_result_maybe/{job_id}")
        told = answer.raise_for_status().json()
        return told.get("result") if told.get("completed") else None

    async def custody(self) -> dict[str, Any]:
        answer: dict[str, Any] = (await self._client.get("/api/custody")).raise_for_status().json()
        return answer

    async def completed(self) -> dict[str, dict[str, Any]]:
        """Every recorded job by its id."""
        answer = await self._client.get("/api/w/main/jobs/completed/list?per_page=1000")
        rows = answer.raise_for_status().json()
        return {row["id"]: row for row in rows}

    async def close(self) -> None:
        await self._client.aclose()

    async def _call(
        self, method: str, path: str, body: Any, *, exists_is_fine: bool = False
    ) -> httpx.Response:
        """Repeated while the bridge restarts. Raises `httpx.HTTPStatusError` for what it refuses."""
        async with asyncio.timeout(PATIENCE_S):
            while True:
                try:
                    answer = await self._client.request(method, path, json=body)
                except httpx.TransportError:
                    await asyncio.sleep(PAUSE_S)
                    continue
                if (
                    exists_is_fine
                    and answer.status_code == httpx.codes.BAD_REQUEST
                    and "exists" in answer.text
                ):
                    return answer
                return answer.raise_for_status()
