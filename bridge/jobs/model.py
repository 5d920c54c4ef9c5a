"""What a job is in the cluster: asked for, handed out, ended."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Annotated, Any, Final, Literal

import msgspec
from msgspec import Meta, Raw, Struct

from bridge.dependencies.precomputed import PrecomputedPython, precomputed

Delivery = Literal["at_least_once", "at_most_once"]
Replace = Literal["never", "when_lost"]
Priority = Annotated[int, Meta(ge=-32768, le=32767)]
Int64 = Annotated[int, Meta(ge=-(2**63), le=2**63 - 1)]  # what the store can hold
Page = Annotated[int, Meta(ge=1, le=1_000_000)]
Seconds = Annotated[int, Meta(ge=0, le=10 * 366 * 24 * 3600)]

# Below 15 s a healthy agent, which pings every 10 s, would look lost.
LostAfter = Annotated[int, Meta(ge=15, le=10 * 366 * 24 * 3600)]

NO_ARGS: Final = Raw(b"{}")


def rfc3339(time_s: float | None) -> str | None:
    if time_s is None:
        return None
    return datetime.fromtimestamp(time_s, UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


class Preview(Struct):
    """Run this code once."""

    content: str
    language: Annotated[str, Meta(min_length=1)]
    args: Any = None
    path: str | None = None
    tag: str | None = None
    lock: str | None = None


class PreviewAsSent(Preview):
    """As `Preview`, with the arguments unread: their text is kept as it came."""

    args: Raw = NO_ARGS


class RunOptions(Struct):
    """Query parameters of every run; null asks for nothing. `delivery` to `not_after` are ours (DESIGN 3).

    `lost_after`: seconds that a silent custodian keeps the job. `replace`: whether it then runs elsewhere.
    """

    tag: str | None = None
    scheduled_for: datetime | None = None
    scheduled_in_secs: Seconds | None = None
    timeout: Seconds | None = None
    priority: Priority | None = None
    job_id: str | None = None
    parent_job: str | None = None
    delivery: Delivery | None = None
    lost_after: LostAfter | None = None
    replace: Replace | None = None
    not_after: datetime | None = None
    retry: str | None = None  # JSON of a `Retry`


@dataclass(frozen=True, slots=True)
class Code:
    """What to run, as text."""

    content: str
    language: str
    lock: str | None
    path: str | None
    tag: str | None


@dataclass(frozen=True, slots=True)
class ScriptPath:
    """What to run: the script that answers to this path now."""

    path: str


@dataclass(frozen=True, slots=True)
class ScriptHash:
    """What to run: exactly this version of a script."""

    hash: str


@dataclass(frozen=True, slots=True)
class FormerChild:
    """A step that ran in another run of the flow, and stands for the same one in this."""

    module_id: str
    round: int
    position: int
    job_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class FlowText:
    """What to run: a flow. Made where flows are known (`bridge/flows/deployed.py`)."""

    kind: str  # flow, flowpreview
    value: bytes  # JSON text, checked
    status: bytes  # JSON: where it begins
    path: str | None = None
    version: int | None = None
    tag: str | None = None
    priority: int | None = None
    timeout_s: int | None = None
    concurrent_limit: int | None = None
    concurrency_time_window_s: int | None = None
    concurrency_key: str | None = None
    children: tuple[FormerChild, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToResolve:
    """What to find out: the lock of a script's version, of a piece of code, or of a flow's steps."""

    kind: Literal["dependencies", "flowdependencies"]
    tag: str
    language: str
    path: str | None
    script_hash: str | None = None
    code: str | None = None


Source = Code | ScriptPath | ScriptHash | FlowText | ToResolve


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Somebody asks for a job."""

    workspace: str
    source: Source
    args: bytes  # JSON object text
    options: RunOptions
    created_by: str
    permissioned_as: str
    email: str
    schedule_path: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pulled:
    """A job handed out: everything a worker needs, with times in wall seconds."""

    job_id: str
    workspace: str
    tag: str
    language: str
    code: str
    lock: str | None
    args: bytes  # JSON object text, UTF-8
    path: str | None
    kind: str  # in the cluster: preview, script, flow, …; on the wire always preview
    timeout_s: int | None
    priority: int | None
    delivery: Delivery
    lost_after_s: int | None
    replace: Replace | None
    not_after_s: float | None
    concurrent_limit: int | None
    concurrency_time_window_s: int | None
    created_by: str
    created_at_s: float
    permissioned_as: str
    email: str
    scheduled_for_s: float
    started_at_s: float
    same_worker: bool
    parent_job: str | None
    flow_step_id: str | None = None
    root_job: str | None = None
    flow_innermost_root_job: str | None = None
    flow_path: str | None = None  # of the flow that it is a step of
    entrypoint: str | None = None  # the function to call
    pre_run_error: str | None = None  # it fails with this, and runs nothing
    schedule_path: str | None
    canceled_by: str | None
    canceled_reason: str | None
    worker: str
    attempt: int
    token: str
    hidden: tuple[str, ...] = ()  # secrets among the arguments, which the job's log must not show
    scripts: Mapping[str, str] = field(default_factory=dict)  # that it imports of the workspace, by path
    bundle: str = ""  # of what it imports, as an agent fetches it (`wire.bundles`)

    def as_json(self, taken_along: Mapping[str, Any] | None = None) -> bytes:
        """The JobAndPerms of agent-api.md 3.1, with the rules of its custody added to the job.

        Code travels in `raw_code`, so a worker needs no second call, whatever the kind. `hidden`, `scripts`,
        `bundle` and `taken_along` are ours.
        """
        return msgspec.json.encode(
            ({"hidden": self.hidden} if self.hidden else {})
            | ({"scripts": self.scripts} if self.scripts else {})
            | ({"bundle": self.bundle} if self.bundle else {})
            | ({} if taken_along is None else {"taken_along": taken_along})
            | {
                "job": self._job(),
                "raw_code": self.code,
                "raw_lock": self.lock,
                "raw_flow": None,
                "parent_runnable_path": self.flow_path,
                "token": self.token,
                "precomputed_agent_info": self._needs(),
            }
        )

    def _needs(self) -> dict[str, PrecomputedPython] | None:
        needs = precomputed(self.code) if self.language == "python3" and self.lock is None else None
        return None if needs is None else {"Python": needs}

    def _job(self) -> dict[str, Any]:
        return {
            "workspace_id": self.workspace,
            "id": self.job_id,
            "args": Raw(self.args),
            "parent_job": self.parent_job,
            "created_by": self.created_by,
            "started_at": rfc3339(self.started_at_s),
            "scheduled_for": rfc3339(self.scheduled_for_s),
            "runnable_path": self.path,
            "kind": "preview",
            "runnable_id": None,
            "canceled_reason": self.canceled_reason,
            "canceled_by": self.canceled_by,
            "permissioned_as": self.permissioned_as,
            "permissioned_as_email": self.email,
            "flow_status": None,
            "tag": self.tag,
            "script_lang": self.language,
            "same_worker": self.same_worker,
            "pre_run_error": self.pre_run_error,
            "concurrent_limit": self.concurrent_limit,
            "concurrency_time_window_s": self.concurrency_time_window_s,
            "flow_innermost_root_job": self.flow_innermost_root_job,
            "root_job": self.root_job,
            "timeout": self.timeout_s,
            "flow_step_id": self.flow_step_id,
            "cache_ttl": None,
            "cache_ignore_s3_path": None,
            "priority": self.priority,
            "preprocessed": None,
            "script_entrypoint_override": self.entrypoint,
            "trigger": self.schedule_path,
            "trigger_kind": None if self.schedule_path is None else "schedule",
            "visible_to_owner": True,
            "permissioned_as_end_user_email": None,
            "runnable_settings_handle": None,
            "delivery": self.delivery,
            "lost_after": self.lost_after_s,
            "replace": self.replace,
            "not_after": rfc3339(self.not_after_s),
            "attempt": self.attempt,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Completion:
    """How a job ended, as its worker tells it."""

    success: bool
    result: bytes  # one JSON document: the result, or on failure the error itself
    duration_ms: int | None = None
    mem_peak_kb: int | None = None
    canceled_by: str | None = None
    canceled_reason: str | None = None
    states: Mapping[str, str] = field(
        default_factory=dict
    )  # what it set for its script's next run: path → JSON
    may_retry: bool = True  # False: it ran nowhere, or may be begun once only (I2)


class Cancel(Enum):
    """What a cancellation does to a job that runs."""

    ASKED = "asked"  # its worker stops it
    FORCED = "forced"  # it ends at once, whatever its worker does


class Completed(Enum):
    """What became of a completion. After all of them the worker may let go of the job."""

    RECORDED = "recorded"
    ALREADY = "already"  # another came first, and stays
    DISTRUSTED = (
        "quarantined"  # it was taken from this worker because its token was revoked: to be kept apart
    )
    UNKNOWN = "unknown"  # no such job in this workspace, or not this caller's


@dataclass(frozen=True, slots=True, kw_only=True)
class PingReply:
    canceled_by: str | None
    canceled_reason: str | None
    already_completed: bool  # also said to a worker that no longer has the job: let go of it


def error_object(name: str, message: str, **more: Any) -> Mapping[str, Any]:
    return {"message": message, "name": name, **more}
