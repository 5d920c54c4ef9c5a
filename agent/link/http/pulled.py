"""A job as the HTTP API hands it out becomes the job that the agent holds (agent-api.md 3.1)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from agent.wire.agent_api import COMPLETED_FIELDS, reserved_env
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery, Job, Result, canceled_error


def job_of(
    reply: Mapping[str, Any],
    attempt: Attempt,
    *,
    code: str,
    args: Mapping[str, Any],
    envs: Mapping[str, str],
) -> Job:
    """`envs`: the workspace's own variables. Raises KeyError, ValueError, TypeError when it is no job."""
    job = reply["job"]
    handed_out_at = wall_s(job.get("started_at"))
    not_after = wall_s(job.get("not_after"))
    return Job(
        job_id=JobId(str(job["id"])),
        attempt=attempt,
        workspace=str(job["workspace_id"]),
        tag=Tag(str(job["tag"])),
        kind=str(job["kind"]),
        path=job.get("runnable_path"),
        language=job.get("script_lang") or "",
        code=code,
        lock=reply.get("raw_lock"),
        args=json.dumps(args).encode(),
        timeout_s=job.get("timeout"),
        delivery=Delivery(job.get("delivery") or Delivery.AT_LEAST_ONCE),
        lives_s=None if not_after is None else not_after - (handed_out_at or not_after),
        priority=job.get("priority"),
        created_by=str(job["created_by"]),
        permissioned_as=str(job["permissioned_as"]),
        env={**envs, **reserved_env(job)},
        token=str(reply["token"]),
        dispatched_at=handed_out_at or 0.0,
        origin=json.dumps({name: job[name] for name in COMPLETED_FIELDS if job.get(name) is not None}),
    )


def wall_s(rfc3339: str | None) -> float | None:
    return None if rfc3339 is None else datetime.fromisoformat(rfc3339).timestamp()


def unrun_end(reply: Mapping[str, Any]) -> Result | None:
    """How a job ends that was handed out and is not to be run; None for every other (agent-api.md 7.5)."""
    job = reply["job"]
    by, reason = job.get("canceled_by"), job.get("canceled_reason") or ""
    if by is None and not job.get("pre_run_error"):
        return None
    error = canceled_error(by, reason) if by else {"name": "PreRunError", "message": job["pre_run_error"]}
    return replace(_end(job, error), canceled_by=by, canceled_reason=reason if by else None)


def failed_end(reply: Mapping[str, Any], message: str) -> Result | None:
    """How a job ends that the agent cannot even hold; None when the reply does not say which one it is."""
    job = reply.get("job")
    if not isinstance(job, dict) or not {"id", "workspace_id"} <= job.keys():
        return None
    return _end(job, {"name": "Unsendable", "message": message})


def _end(job: Mapping[str, Any], error: Mapping[str, str]) -> Result:
    return Result(
        job_id=JobId(str(job["id"])),
        attempt=Attempt(0),
        workspace=str(job["workspace_id"]),
        success=False,
        document=json.dumps(error).encode(),
    )
