"""The HTTP agent API's own shapes, where both sides need them (agent-api.md 2.3, 3.2 and 3.4)."""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from agent.wire.claims import Attempt, JobId
from agent.wire.messages import Result, canceled_error

# What a cluster wants back with the result: a subset of what it handed out.
COMPLETED_FIELDS: Final = (
    "id", "workspace_id", "runnable_id", "scheduled_for", "parent_job", "flow_innermost_root_job",
    "runnable_path", "kind", "started_at", "permissioned_as", "created_by", "script_lang",
    "permissioned_as_email", "flow_step_id", "trigger_kind", "trigger", "priority", "concurrent_limit",
    "tag", "cache_ttl", "cache_ignore_s3_path", "runnable_settings_handle",
)  # fmt: skip


CODE_PLACES: Final = {
    "flowscript": ("flow_script", "raw_code", "raw_lock"),
    "appscript": ("app_script", "content", "lock"),
}  # every other kind has a script's

# What only a normal worker of the cluster can run (agent-api.md 4.4).
NOT_FOR_AGENTS: Final = frozenset({
    "flow", "flowpreview", "flownode", "singlestepflow", "identity", "aiagent",
    "dependencies", "flowdependencies", "appdependencies", "deploymentcallback",
})  # fmt: skip


def state_path(path: str | None, permissioned_as: str, created_by: str, *, is_scheduled: bool) -> str:
    """Where the script of a job keeps what it remembers."""
    if not path:
        return f"u/{permissioned_as.removeprefix('u/')}/tmp_state"  # noqa: S108 a state path of the contract, no file
    return f"{path}/{created_by if is_scheduled else 'user'}"


def reserved_env(reply: Mapping[str, Any]) -> dict[str, str]:
    """The WM_ variables that only the cluster knows (agent-api.md 7.2); empty when not applicable.

    `reply`: a JobAndPerms.
    """
    job = reply["job"]
    path = job.get("runnable_path") or ""
    schedule = (job.get("trigger") or "") if job.get("trigger_kind") == "schedule" else ""
    entrypoint = job.get("script_entrypoint_override")
    return {
        "WM_EMAIL": job["permissioned_as_email"],
        "WM_USERNAME": job["created_by"],
        "WM_SCHEDULED_FOR": job["scheduled_for"],
        "WM_JOB_PATH": path,
        "WM_FLOW_JOB_ID": job.get("parent_job") or "",
        "WM_ROOT_FLOW_JOB_ID": job.get("root_job") or "",
        "WM_ROOT_JOB_ID": job.get("root_job") or "",
        "WM_FLOW_PATH": reply.get("parent_runnable_path") or "",
        "WM_SCHEDULE_PATH": schedule,
        "WM_PERMISSIONED_AS": job["permissioned_as"],
        "WM_STATE_PATH": state_path(
            path, job["permissioned_as"], job["created_by"], is_scheduled=bool(schedule)
        ),
        "WM_FLOW_STEP_ID": job.get("flow_step_id") or "",
        "WM_OBJECT_PATH": "",
        "WM_RUNNABLE_ID": str(job.get("runnable_id") or ""),
        "WM_END_USER_EMAIL": job.get("permissioned_as_end_user_email") or "",
        **({"MAIN_OVERRIDE": entrypoint} if entrypoint else {}),
    }


def script_number(script_hash: str) -> int:
    """A script's hash as its URL wants it: the same 64 bits, read as a signed number."""
    return int.from_bytes(bytes.fromhex(script_hash), "big", signed=True)


def code_place(job: Mapping[str, Any]) -> tuple[str, str, str]:
    """Where the code is of a job that comes without it, and the names there of the code and its lock.

    Agent-api.md 2.1, rows 13 to 15. Raises ValueError when there can be none.
    """
    if not job.get("runnable_id"):
        raise ValueError(f"a job of kind {job['kind']} that comes without code")
    place, code, lock = CODE_PLACES.get(job["kind"], ("script", "content", "lock"))
    return f"/api/agent_workers/{place}/{script_number(job['runnable_id'])}", code, lock


def unrun_end(reply: Mapping[str, Any]) -> Result | None:
    """How a job ends that was handed out and is not to be run; None for every other (agent-api.md 7.5)."""
    job = reply["job"]
    by, reason = job.get("canceled_by"), job.get("canceled_reason") or ""
    if by is None:
        error = _why_unrun(job)
        return None if error is None else failed(job, error)
    error = canceled_error(by, reason)
    return replace(failed(job, error), canceled_by=by, canceled_reason=reason)


def _why_unrun(job: Mapping[str, Any]) -> dict[str, str] | None:
    if job.get("pre_run_error"):
        return {"name": "PreRunError", "message": job["pre_run_error"]}
    if job["kind"] not in NOT_FOR_AGENTS:
        return None
    message = (
        f"an agent got this job of kind {job['kind']} by its tag {job['tag']}, and no agent can run it. "
        "Leave flow, dependency and their workspaces' tags out of the agent's token, and let at least one "
        "normal worker of the cluster listen to them. Nothing was run."
    )
    return {"name": "NotForAgents", "message": message}


def failed(job: Mapping[str, Any], error: Mapping[str, str]) -> Result:
    """The end of a job that was never held."""
    return Result(
        job_id=JobId(str(job["id"])),
        attempt=Attempt(0),
        workspace=str(job["workspace_id"]),
        success=False,
        document=json.dumps(error).encode(),
    )


def around_result(job: Mapping[str, Any], token: str, result: Result) -> tuple[bytes, bytes]:
    """What stands before and after the document in the body of send_result.

    The document is not parsed, so nothing changes it. No duration: the job was never begun.
    """
    by = canceler(result)
    took_ms = None if result.started_at is None else result.duration_ms
    canceled = None if by is None else {"username": by, "reason": result.canceled_reason}
    rest = json.dumps({
        "job": {name: job.get(name) for name in COMPLETED_FIELDS},
        "preprocessed_args": None, "result_columns": None,
        "mem_peak": result.mem_peak_kb or 0, "success": result.success, "cached_res_path": None,
        "token": token, "canceled_by": canceled, "duration": took_ms,
        "has_stream": False, "from_cache": None, **({"states": result.states} if result.states else {}),
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
