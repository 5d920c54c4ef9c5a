"""A job as the HTTP API hands it out becomes the job that the agent holds (agent-api.md 3.1)."""

import base64
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from agent.wire.agent_api import COMPLETED_FIELDS, failed, reserved_env
from agent.wire.arguments import Resolved
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.errors import Unresolved
from agent.wire.hidden import listed
from agent.wire.messages import Delivery, Job, Result


def job_of(
    reply: Mapping[str, Any],
    attempt: Attempt,
    *,
    code: str,
    lock: str | None,
    args: Resolved,
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
        lock=lock,
        args=json.dumps(args.values).encode(),
        timeout_s=job.get("timeout"),
        delivery=Delivery(job.get("delivery") or Delivery.AT_LEAST_ONCE),
        lives_s=None if not_after is None else not_after - (handed_out_at or not_after),
        priority=job.get("priority"),
        created_by=str(job["created_by"]),
        permissioned_as=str(job["permissioned_as"]),
        env={**envs, **reserved_env(reply)},
        token=str(reply["token"]),
        dispatched_at=handed_out_at or 0.0,
        origin=json.dumps({name: job[name] for name in COMPLETED_FIELDS if job.get(name) is not None}),
        hidden=listed(list(args.secrets)),
        scripts=dict(reply.get("scripts") or {}),
        bundle=str(reply.get("bundle") or ""),
        **_taken_along(reply.get("taken_along")),
    )


def _taken_along(told: Mapping[str, Any] | None) -> dict[str, Any]:
    """From a bridge of ours. Raises KeyError, ValueError, TypeError."""
    if told is None:
        return {}
    return {
        "takes_states": True,
        "state": str(told["state"]),
        "state_since": float(told["state_since"]),
        "sealed": base64.b64decode(told["sealed"]),
        "sealed_for": dict(told["sealed_for"]),
        "withheld": dict(told["withheld"]),
    }


def wall_s(rfc3339: str | None) -> float | None:
    return None if rfc3339 is None else datetime.fromisoformat(rfc3339).timestamp()


def failed_end(reply: Mapping[str, Any], why: Exception) -> Result | None:
    """How a job ends that the agent cannot even hold; None when the reply does not say which one it is."""
    job = reply.get("job")
    if not isinstance(job, dict) or not {"id", "workspace_id"} <= job.keys():
        return None
    if isinstance(why, Unresolved):
        return failed(job, {"name": "NotFound", "message": str(why)})
    return failed(job, {"name": "Unsendable", "message": f"the agent cannot take this job: {why}"})
