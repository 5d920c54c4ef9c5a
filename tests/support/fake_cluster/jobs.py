"""The fake cluster's jobs, in memory: what the original does to a job, and what it does not look at."""

import json
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

RESTART_LIMIT: Final = 3  # by the zombie sweep (agent-api.md 5.3)


@dataclass(kw_only=True)
class FakeJob:
    code: str | None
    tag: str
    job_id: str = field(default_factory=lambda: str(uuid4()))
    workspace: str = "main"
    language: str = "bash"
    kind: str = "preview"
    args: dict[str, Any] | None = None
    runnable_id: str | None = None
    runnable_path: str | None = None
    priority: int | None = None
    timeout: int | None = None
    state: str = "queued"  # queued, running, completed
    worker: str | None = None
    started_at: str | None = None
    scheduled_for: str = field(default_factory=lambda: datetime.now(UTC).isoformat())
    canceled_by: str | None = None
    canceled_reason: str | None = None
    pre_run_error: str | None = None
    handed_out: int = 0
    restarts: int = 0
    pings: int = 0
    heard_s: float = 0.0  # monotonic: when it was handed out, or pinged last
    logs: str = ""
    completions: list[dict[str, Any]] = field(default_factory=list)  # as they came; the first one stands

    @property
    def result(self) -> Any:
        """As a user gets it: an error object stands in `error` (agent-api.md 3.4)."""
        first = self.completions[0]
        return first["result"] if first["success"] else {"error": first["result"]}

    @property
    def is_canceled(self) -> bool:
        return bool(self.completions) and self.completions[0]["canceled_by"] is not None

    def as_pulled(self) -> dict[str, Any]:
        """JobAndPerms (agent-api.md 3.1)."""
        return {
            "job": {
                "workspace_id": self.workspace, "id": self.job_id, "args": self.args, "created_by": "admin",
                "scheduled_for": self.scheduled_for, "started_at": self.started_at,
                "runnable_path": self.runnable_path, "runnable_id": self.runnable_id, "kind": self.kind,
                "permissioned_as": "u/admin", "permissioned_as_email": "admin@orvanta.local",
                "tag": self.tag, "script_lang": self.language, "same_worker": False,
                "visible_to_owner": True, "timeout": self.timeout, "priority": self.priority,
                "canceled_by": self.canceled_by, "canceled_reason": self.canceled_reason,
                "pre_run_error": self.pre_run_error,
            },
            "raw_code": self.code if self.kind == "preview" else None, "raw_lock": None, "raw_flow": None,
            "parent_runnable_path": None, "token": f"jwt_{self.job_id}", "precomputed_agent_info": None,
        }  # fmt: skip


class FakeJobs:
    def __init__(self) -> None:
        self.jobs: Final[dict[str, FakeJob]] = {}

    def push(self, job: FakeJob) -> str:
        self.jobs[job.job_id] = job
        return job.job_id

    def of(self, workspace: str, job_id: str) -> FakeJob | None:
        job = self.jobs.get(job_id)
        return job if job is not None and job.workspace == workspace else None

    def pull(self, worker: str, tags: list[str]) -> FakeJob | None:
        """The best queued job of these tags, now running (agent-api.md 2.2)."""
        queued = [job for job in self.jobs.values() if job.state == "queued" and job.tag in tags]
        if not queued:
            return None
        job = max(queued, key=lambda one: -1 if one.priority is None else one.priority)
        job.state, job.worker, job.handed_out = "running", worker, job.handed_out + 1
        job.started_at = job.started_at or datetime.now(UTC).isoformat()
        job.heard_s = time.monotonic()
        return job

    def ping(self, job_id: str) -> dict[str, Any]:
        """It is not looked at who asks (agent-api.md 2.4)."""
        job = self.jobs.get(job_id)
        if job is None or job.state == "completed":
            return {"canceled_by": None, "canceled_reason": None, "already_completed": True}
        job.pings, job.heard_s = job.pings + 1, time.monotonic()
        return {
            "canceled_by": job.canceled_by, "canceled_reason": job.canceled_reason,
            "already_completed": False,
        }  # fmt: skip

    def complete(self, job: FakeJob, completion: dict[str, Any]) -> None:
        """The first one stands; a later one is ignored, as newer servers do (agent-api.md 3.4)."""
        job.completions.append(completion)
        job.state = "completed"

    def cancel(self, job_id: str, reason: str) -> None:
        job = self.jobs[job_id]
        job.canceled_by, job.canceled_reason = "admin", reason

    def force_cancel(self, job_id: str) -> None:
        job = self.jobs[job_id]
        self.complete(
            job,
            {"success": False, "result": "canceled", "canceled_by": {"username": "admin", "reason": None}},
        )

    def sweep_silent(self, for_s: float) -> None:
        """The zombie sweep: whatever runs and was not heard of for so long."""
        for job in self.jobs.values():
            if job.heard_s < time.monotonic() - for_s:
                self.sweep(job.job_id)

    def sweep(self, job_id: str) -> None:
        """As when it was not pinged for 60 s: the next pull gets it again, three times at most (5.3)."""
        job = self.jobs[job_id]
        if job.state != "running":
            return
        if job.restarts == RESTART_LIMIT:
            self.complete(job, {"success": False, "result": "no ping", "canceled_by": None})
            return
        job.state, job.worker, job.started_at, job.restarts = "queued", None, None, job.restarts + 1
        job.logs += "\nRestarted job after not receiving a ping for too long\n"


def hash_of(number: str) -> str | None:
    """The hex form of a script's hash from the decimal one in a URL (agent-api.md 3.2)."""
    try:
        return int(number).to_bytes(8, "big", signed=True).hex()
    except (ValueError, OverflowError):
        return None


def parsed(body: bytes) -> Any:
    """Raises ValueError when it is not JSON, or JSON that only Python takes."""

    def refuse(constant: str) -> None:
        raise ValueError(f"{constant} is no JSON")

    return json.loads(body, parse_constant=refuse)
