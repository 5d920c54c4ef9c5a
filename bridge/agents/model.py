"""What agents tell of themselves over HTTP, and what people read of them."""

from dataclasses import dataclass
from typing import Annotated, Any, Literal
from urllib.parse import unquote

from msgspec import UNSET, Meta, Raw, Struct, UnsetType

from agent.wire.claims import Claims, Tag, WorkerName
from bridge.jobs.model import Int64, Page, Seconds


@dataclass(frozen=True, slots=True)
class NormalWorker:
    """A worker of the cluster's own: no token says its tags, its operator does."""

    worker: WorkerName
    worker_group: str
    tags: frozenset[Tag]


Speaker = Claims | NormalWorker


class Ping(Struct, kw_only=True):
    """Body of update_ping (agent-api.md 2.3); null or absent means: as before."""

    ping_type: Literal["Initial", "MainLoop", "Job", "InitScript"]
    worker_instance: str | None = None
    ip: str | None = None
    version: str | None = None
    tags: list[str] | None = None
    vcpus: Int64 | None = None
    memory: Int64 | None = None
    memory_usage: Int64 | None = None
    wm_memory_usage: Int64 | None = None
    jobs_executed: Int64 | None = None
    occupancy_rate: float | None = None
    occupancy_rate_15s: float | None = None
    occupancy_rate_5m: float | None = None
    occupancy_rate_30m: float | None = None
    last_job_executed: str | None = None
    last_job_workspace_id: str | None = None
    job_isolation: str | None = None
    native_mode: bool | None = None


class HeldJob(Struct):
    """A job at an agent; `attempt` as it was handed out. `canceled`: the agent knows of the cancel."""

    id: str
    attempt: Int64
    canceled: bool = False


class HeldJobs(Struct):
    """Body of held_jobs, ours. `all`: what else was handed to this worker never arrived, or is lost,

    but for what the pulls with the keys `asking` got: those are sent again.
    """

    jobs: list[HeldJob]
    lost: list[HeldJob] = []
    all: bool = False
    asking: list[str] | str = []  # one, from an agent that knows of one only


class CanceledJob(Struct):
    id: str
    attempt: int
    by: str
    reason: str


class HeldReply(Struct):
    """What is not as the worker believes. `elsewhere`: handed out anew; `over`: recorded, or deleted."""

    canceled: list[CanceledJob] = []
    elsewhere: list[HeldJob] = []
    over: list[HeldJob] = []


class JobPing(Struct):
    mem_peak: Int64 | None = None
    current_mem: Int64 | None = None


class JobPingReply(Struct):
    canceled_by: str | None
    canceled_reason: str | None
    already_completed: bool


class CanceledBy(Struct):
    username: str | None = None
    reason: str | None = None


class JobCompleted(Struct, kw_only=True):
    """Body of send_result (3.4). Only the URL's ids and our own row are trusted, so `job` is not read.

    `duration`: null tells that the job was never begun.
    """

    success: bool
    result: Any = None
    mem_peak: Int64 | None = None
    duration: Int64 | UnsetType | None = UNSET
    canceled_by: CanceledBy | None = None
    states: dict[str, str] = {}  # ours: what it set for its script's next run, path → JSON


class JobCompletedAsSent(JobCompleted, kw_only=True):
    """As `JobCompleted`, with the result unread: its text is kept as it came.

    `result_sha256`, ours: the result has come in parts already.
    """

    result: Raw = Raw(b"null")
    result_sha256: str | None = None


class JobCancelled(Struct):
    canceled_by: str
    reason: str = ""


class InitScript(Struct):
    content: str


class SameWorkerJob(Struct):
    job_id: str
    recoverable: bool = False


class ScriptMeta(Struct, kw_only=True):
    language: str
    envs: list[str] | None = None
    codebase: str | None = None
    schema: Any = None
    schema_validator: Any = None


class HeldScript(Struct):
    """Answer of script/<hash> (agent-api.md 2.1)."""

    content: str
    lock: str | None
    meta: ScriptMeta


class TagsAsked(Struct):
    """Query of exists_workers_with_tags: tags with commas between them."""

    tags: str = ""


class PullFrom(Struct):
    """Query of pull_job, ours: only jobs of these, with commas between them; percent-encoded each."""

    tags: str | None = None
    languages: str | None = None  # that the agent runs; a job of another waits for one that does

    def runs(self) -> frozenset[str] | None:
        """None: it does not tell."""
        return None if self.languages is None else frozenset(map(unquote, self.languages.split(",")))

    def wanted(self, held: frozenset[Tag]) -> frozenset[Tag]:
        """Of what the token holds (I4); without the query all of it."""
        if self.tags is None:
            return held
        return held & {Tag(unquote(one)) for one in self.tags.split(",")}


class LogPlace(Struct):
    """Query of push_logs, ours: with `offset` a repeated chunk changes nothing (I5)."""

    offset: Annotated[int, Meta(ge=0, le=2**53)] | None = None
    writer: str | None = None


class WorkersFilter(Struct):
    page: Page = 1
    per_page: Annotated[int, Meta(ge=1, le=1000)] = 100
    ping_since: Seconds = 300


class WorkerRow(Struct, kw_only=True):
    """One row of GET /api/workers/list (8.4); `last_ping` is seconds ago."""

    worker: str
    worker_instance: str
    last_ping: int
    started_at: str | None
    ip: str
    jobs_executed: int
    custom_tags: list[str]
    worker_group: str
    wm_version: str
    last_job_id: str | None
    last_job_workspace_id: str | None
    occupancy_rate: float | None
    occupancy_rate_15s: float | None
    occupancy_rate_5m: float | None
    occupancy_rate_30m: float | None
    memory: int | None
    vcpus: int | None
    memory_usage: int | None
    wm_memory_usage: int | None
    job_isolation: str | None
    native_mode: bool
