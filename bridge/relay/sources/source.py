"""What the relay needs of a cluster, whether it is in this process or behind HTTP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Protocol

from agent.wire.claims import JobId, Tag
from agent.wire.messages import Delivery, Result
from bridge.relay.ledger import Custody
from bridge.relay.policy import Replace

# What a cluster wants back with the result (agent-api.md 3.4): a subset of what it handed out.
COMPLETED_FIELDS: Final = (
    "id", "workspace_id", "runnable_id", "scheduled_for", "parent_job", "flow_innermost_root_job",
    "runnable_path", "kind", "started_at", "permissioned_as", "created_by", "script_lang",
    "permissioned_as_email", "flow_step_id", "trigger_kind", "trigger", "priority", "concurrent_limit",
    "tag", "cache_ttl", "cache_ignore_s3_path", "runnable_settings_handle",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A job as the cluster handed it out, in the wire's terms."""

    job_id: JobId
    workspace: str
    tag: Tag
    kind: str
    path: str | None
    language: str
    code: str
    lock: str | None
    args: bytes
    timeout_s: float | None
    delivery: Delivery
    lost_after_s: float | None = None  # the job's own; None leaves it to its tag
    replace: Replace | None = None
    not_after: float | None  # wall seconds
    priority: int | None
    created_by: str
    permissioned_as: str
    env: Mapping[str, str]
    token: str
    job_json: str


@dataclass(frozen=True, slots=True)
class PingReply:
    canceled_by: str | None
    canceled_reason: str | None
    already_completed: bool


class Source(Protocol):
    ping_every_s: float

    def lanes(self, served: frozenset[Tag]) -> Sequence[frozenset[Tag]]:
        """The sets of tags that can be pulled separately."""
        ...

    async def pull(self, lane: frozenset[Tag]) -> Pulled | None:
        """Take one job. Stores nothing. Raises `ClusterDown`."""
        ...

    async def put_back(self, out: frozenset[JobId]) -> None:
        """At start: what a death between `pull` and the ledger left behind was never sent anywhere.

        `out`: the jobs that are in the ledger. A cluster that cannot take a job back has its zombie sweep.
        """
        ...

    async def wait(self, timeout_s: float) -> None:
        """Until a job may have come, or `timeout_s` has passed."""
        ...

    async def ping(self, custody: Custody) -> PingReply: ...

    async def send_result(self, custody: Custody, result: Result, document: bytes) -> None:
        """On return the cluster has recorded it, now or before. Raises `ClusterDown`."""
        ...

    async def push_log(self, custody: Custody, writer: str, start: int, text: str, *, missing: int) -> None:
        """Text of one writer's stream; `start` counts the characters before it, `missing` of them never came.

        A gap is marked (I5). Raises `ClusterDown`; then the same stretch comes again.
        """
        ...


def pulled_from(reply: Mapping[str, Any], code: str | None) -> Pulled:
    """From a JobAndPerms (agent-api.md 3.1). `code`: what to run, when the reply does not carry it."""
    job = reply["job"]
    return Pulled(
        job_id=JobId(job["id"]),
        workspace=job["workspace_id"],
        tag=Tag(job["tag"]),
        kind=job["kind"],
        path=job.get("runnable_path"),
        language=job.get("script_lang") or "",
        code=reply.get("raw_code") or code or "",
        lock=reply.get("raw_lock"),
        args=json.dumps(job.get("args") or {}).encode(),
        timeout_s=job.get("timeout"),
        delivery=Delivery(job.get("delivery") or Delivery.AT_LEAST_ONCE),
        lost_after_s=job.get("lost_after"),
        replace=None if job.get("replace") is None else Replace(job["replace"]),
        not_after=_wall_s(job.get("not_after")),
        priority=job.get("priority"),
        created_by=job["created_by"],
        permissioned_as=job["permissioned_as"],
        env=reserved_env(job),
        token=reply["token"],
        job_json=json.dumps({name: job.get(name) for name in (*COMPLETED_FIELDS, "delivery")}),
    )


def _wall_s(rfc3339: str | None) -> float | None:
    return None if rfc3339 is None else datetime.fromisoformat(rfc3339).timestamp()


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


def job_completed(custody: Custody, result: Result, document: bytes) -> bytes:
    """The body of send_result (agent-api.md 3.4). The result's text is not parsed, so nothing changes it."""
    by = canceler(result)
    canceled = None if by is None else {"username": by, "reason": result.canceled_reason}
    job = json.loads(custody.job_json)
    rest = json.dumps({
        "job": {name: job.get(name) for name in COMPLETED_FIELDS},
        "preprocessed_args": None, "result_columns": None,
        "mem_peak": result.mem_peak_kb, "success": result.success, "cached_res_path": None,
        "token": custody.token, "canceled_by": canceled, "duration": result.duration_ms,
        "has_stream": False, "from_cache": None,
    })  # fmt: skip
    return b'{"result": ' + (document or b"null") + b", " + rest[1:].encode()


def canceler(result: Result) -> str | None:
    """Who cancelled the job, when it was a person: a time limit makes a failure, not a cancelled job."""
    return None if result.canceled_by == "timeout" else result.canceled_by
