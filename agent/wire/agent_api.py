"""The HTTP agent API's own shapes, where both sides need them (agent-api.md 2.3, 3.2 and 3.4)."""

import json
from collections.abc import Mapping
from typing import Any, Final

from agent.wire.messages import Result

# What a cluster wants back with the result: a subset of what it handed out.
COMPLETED_FIELDS: Final = (
    "id", "workspace_id", "runnable_id", "scheduled_for", "parent_job", "flow_innermost_root_job",
    "runnable_path", "kind", "started_at", "permissioned_as", "created_by", "script_lang",
    "permissioned_as_email", "flow_step_id", "trigger_kind", "trigger", "priority", "concurrent_limit",
    "tag", "cache_ttl", "cache_ignore_s3_path", "runnable_settings_handle",
)  # fmt: skip


def reserved_env(job: Mapping[str, Any]) -> dict[str, str]:
    """The WM_ variables that only the cluster knows (agent-api.md 7.2); empty when not applicable."""
    path = job.get("runnable_path") or ""
    user = job["permissioned_as"].removeprefix("u/")
    schedule = (job.get("trigger") or "") if job.get("trigger_kind") == "schedule" else ""
    state_of = job["created_by"] if schedule else "user"
    return {
        "WM_EMAIL": job["permissioned_as_email"],
        "WM_USERNAME": job["created_by"],
        "WM_SCHEDULED_FOR": job["scheduled_for"],
        "WM_JOB_PATH": path,
        "WM_FLOW_JOB_ID": job.get("parent_job") or "",
        "WM_ROOT_FLOW_JOB_ID": job.get("root_job") or "",
        "WM_ROOT_JOB_ID": job.get("root_job") or "",
        "WM_FLOW_PATH": "",
        "WM_SCHEDULE_PATH": schedule,
        "WM_PERMISSIONED_AS": job["permissioned_as"],
        "WM_STATE_PATH": f"{path}/{state_of}" if path else f"u/{user}/tmp_state",  # noqa: S108 a state path of the contract, no file
        "WM_FLOW_STEP_ID": job.get("flow_step_id") or "",
        "WM_OBJECT_PATH": "",
        "WM_RUNNABLE_ID": str(job.get("runnable_id") or ""),
        "WM_END_USER_EMAIL": job.get("permissioned_as_end_user_email") or "",
    }


def script_number(script_hash: str) -> int:
    """A script's hash as its URL wants it: the same 64 bits, read as a signed number."""
    return int.from_bytes(bytes.fromhex(script_hash), "big", signed=True)


def around_result(job: Mapping[str, Any], token: str, result: Result) -> tuple[bytes, bytes]:
    """What stands before and after the document in the body of send_result.

    The document is not parsed, so nothing changes it.
    """
    by = canceler(result)
    canceled = None if by is None else {"username": by, "reason": result.canceled_reason}
    rest = json.dumps({
        "job": {name: job.get(name) for name in COMPLETED_FIELDS},
        "preprocessed_args": None, "result_columns": None,
        "mem_peak": result.mem_peak_kb or 0, "success": result.success, "cached_res_path": None,
        "token": token, "canceled_by": canceled, "duration": result.duration_ms,
        "has_stream": False, "from_cache": None,
    })  # fmt: skip
    return b'{"result": ', b", " + rest[1:].encode()


def canceler(result: Result) -> str | None:
    """Who cancelled the job, when it was a person: a time limit makes a failure, not a cancelled job."""
    return None if result.canceled_by == "timeout" else result.canceled_by


def worker_ping(ping_type: str, instance: str, tags: list[str], **known: Any) -> dict[str, Any]:
    """The body of update_ping: every key is sent, null where there is nothing to say."""
    absent = dict.fromkeys((
        "dw", "dws", "vcpus", "memory", "memory_usage", "wm_memory_usage", "jobs_executed", "occupancy_rate",
        "occupancy_rate_15s", "occupancy_rate_5m", "occupancy_rate_30m", "last_job_executed",
        "last_job_workspace_id",
    ))  # fmt: skip
    return absent | {
        "ping_type": ping_type, "worker_instance": instance, "ip": "unknown", "version": "v1.600.0",
        "tags": tags, "job_isolation": "none", "native_mode": False,
    } | known  # fmt: skip
