"""What the relay needs of a cluster, whether it is in this process or behind HTTP."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

from agent.wire.agent_api import COMPLETED_FIELDS, around_result, reserved_env
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery, Job, Result
from bridge.relay.ledger import Custody
from bridge.relay.policy import Replace


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
    hidden: Sequence[str] = ()  # secrets among the arguments
    takes_states: bool = False  # this and the rest: as `agent.wire.messages.Job` has them
    state: str = ""
    state_since: float = 0.0
    sealed: bytes = b""
    sealed_for: Mapping[str, str] = field(default_factory=dict)
    withheld: Mapping[str, str] = field(default_factory=dict)
    scripts: Mapping[str, str] = field(default_factory=dict)
    bundle: str = ""  # of what it imports, where the bridge sends that

    def as_job(self, attempt: Attempt, now: float) -> Job:
        """What travels; `now` is in wall seconds."""
        return Job(
            job_id=self.job_id,
            attempt=attempt,
            workspace=self.workspace,
            tag=self.tag,
            kind=self.kind,
            path=self.path,
            language=self.language,
            code=self.code,
            lock=self.lock,
            args=self.args,
            timeout_s=self.timeout_s,
            delivery=self.delivery,
            lives_s=None if self.not_after is None else self.not_after - now,
            priority=self.priority,
            created_by=self.created_by,
            permissioned_as=self.permissioned_as,
            env=dict(self.env),
            token=self.token,
            dispatched_at=now,
            hidden=list(self.hidden),
            takes_states=self.takes_states,
            state=self.state,
            state_since=self.state_since,
            sealed=self.sealed,
            sealed_for=dict(self.sealed_for),
            withheld=dict(self.withheld),
            scripts=dict(self.scripts),
            bundle=self.bundle,
        )

    def as_custody(self, attempt: Attempt) -> Custody:
        """What stays here."""
        return Custody(
            job_id=self.job_id,
            attempt=attempt,
            workspace=self.workspace,
            tag=self.tag,
            token=self.token,
            job_json=self.job_json,
            lost_after_s=self.lost_after_s,
            replace=self.replace,
            not_after=self.not_after,
        )


@dataclass(frozen=True, slots=True)
class PingReply:
    canceled_by: str | None
    canceled_reason: str | None
    already_completed: bool


class Source(Protocol):
    ping_every_s: float
    pings_at_once: int  # jobs that one call asks after
    keeps_languages_back: bool  # a job of a language that nobody wants stays with it
    idle_s: float  # after so long without news the dispatcher looks all the same

    def lanes(self, served: frozenset[Tag]) -> Sequence[frozenset[Tag]]:
        """The sets of tags that can be pulled separately."""
        ...

    async def pull(self, lane: frozenset[Tag], languages: frozenset[str] | None = None) -> Pulled | None:
        """Take one job, if it can of one of these languages. Stores nothing. Raises `ClusterDown`."""
        ...

    async def put_back(self, out: frozenset[JobId]) -> None:
        """At start: what a death between `pull` and the ledger left behind was never sent anywhere.

        `out`: the jobs that are in the ledger. A cluster that cannot take a job back has its zombie sweep.
        """
        ...

    async def wait(self, timeout_s: float) -> None:
        """Until a job may have come, or `timeout_s` has passed."""
        ...

    async def ping_all(self, custodies: Sequence[Custody]) -> Sequence[PingReply]:
        """`pings_at_once` of them at most; the replies in their order. Raises `ClusterDown`."""
        ...

    async def send_result(self, custody: Custody, result: Result, document: bytes) -> None:
        """On return the cluster has recorded it, now or before. Raises `ClusterDown`."""
        ...

    async def set_progress(self, custody: Custody, percent: int) -> None:
        """How far a running job says it is; of no consequence if it is not taken. Raises `ClusterDown`."""
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
        lost_after_s=None if job.get("lost_after") is None else float(job["lost_after"]),
        replace=None if job.get("replace") is None else Replace(job["replace"]),
        not_after=_wall_s(job.get("not_after")),
        priority=job.get("priority"),
        created_by=job["created_by"],
        permissioned_as=job["permissioned_as"],
        env=reserved_env(reply),
        token=reply["token"],
        hidden=reply.get("hidden") or (),
        scripts=reply.get("scripts") or {},
        job_json=json.dumps({name: job.get(name) for name in (*COMPLETED_FIELDS, "delivery")}),
    )


def _wall_s(rfc3339: str | None) -> float | None:
    return None if rfc3339 is None else datetime.fromisoformat(rfc3339).timestamp()


def job_completed(custody: Custody, result: Result, document: bytes) -> bytes:
    """The body of send_result (agent-api.md 3.4)."""
    before, after = around_result(json.loads(custody.job_json), custody.token, result)
    return before + (document or b"null") + after
