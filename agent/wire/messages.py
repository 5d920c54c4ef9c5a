"""What travels between bridge and agent, as frozen values (DESIGN section 4).

Fields are only ever added, with a default; unknown ones are ignored; meaning never changes.
"""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import ClassVar, Final, TypeAlias

from agent.wire.claims import Attempt, JobId, Tag, WorkerName


class Delivery(StrEnum):
    AT_LEAST_ONCE = "at_least_once"
    AT_MOST_ONCE = "at_most_once"


class Intake(StrEnum):
    """Whether an agent takes new jobs."""

    AS_IT_IS = ""
    OPEN = "open"
    CLOSED = "closed"  # it drains: what it holds is run, and nothing new is taken


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Down: run this. Travels alone in its envelope, and signed (I4)."""

    KIND: ClassVar[str] = "job"
    job_id: JobId
    attempt: Attempt
    workspace: str
    tag: Tag
    language: str
    code: str
    args: bytes  # one JSON object, UTF-8
    kind: str = "preview"
    path: str | None = None
    lock: str | None = None
    timeout_s: float | None = None
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    max_interruptions: int = 3
    lives_s: float | None = None  # seconds from dispatch after which running it is pointless (not_after)
    age_s: float = 0.0  # seconds since dispatch when it was put on the wire (bundle age)
    priority: int | None = None
    created_by: str = ""
    permissioned_as: str = ""
    env: dict[str, str] = field(default_factory=dict)  # reserved WM_ variables
    token: str = ""  # short-lived job token
    dispatched_at: float = 0.0  # wall seconds of the bridge; its age where the bridge's clock is known
    origin: str = ""  # over HTTP: the cluster's record of it, JSON that goes back with the result
    hidden: list[str] = field(default_factory=list)  # secrets among the arguments: the job's log hides them
    takes_states: bool = False  # the cluster takes `states` with the result
    state: str = ""  # what its script set last, as the cluster knew it when it handed the job out: JSON
    state_since: float = 0.0  # when the job that set it was handed out, in the bridge's wall seconds
    sealed: bytes = b""  # values it may ask for offline (`agent.sealed_values`)
    sealed_for: dict[str, str] = field(default_factory=dict)  # device → the key of `sealed`, for it alone
    withheld: dict[str, str] = field(default_factory=dict)  # what it asks for and does not get → why
    scripts: dict[str, str] = field(default_factory=dict)  # that it imports of its workspace: code by path
    bundle: str = ""  # of what it imports (`wire.bundles`): complete here before it starts; empty: none


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Down: this at_most_once attempt is yours, you may start it (I2)."""

    KIND: ClassVar[str] = "grant"
    job_id: JobId
    attempt: Attempt
    grant_id: str = ""  # of the acceptance that it answers


@dataclass(frozen=True, slots=True, kw_only=True)
class Revoke:
    """Down: drop this attempt, somebody else holds the job.

    One that has started runs on, because the first result wins; when the job is `over` it is stopped.
    """

    KIND: ClassVar[str] = "revoke"
    job_id: JobId
    attempt: Attempt
    over: bool = False  # the job has its result, or its end


@dataclass(frozen=True, slots=True, kw_only=True)
class Cancel:
    """Down: a person no longer wants this job (I7)."""

    KIND: ClassVar[str] = "cancel"
    job_id: JobId
    attempt: Attempt
    by: str
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Down: the ledger says that you hold this attempt; answer `rejected` if you do not."""

    KIND: ClassVar[str] = "check"
    job_id: JobId
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """Down: the cluster has recorded this job, so the agent may prune it."""

    KIND: ClassVar[str] = "receipt"
    job_id: JobId
    attempt: Attempt


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """Down: the answer to a hello or a ping, in an envelope of its own: who asks for none gets none.

    Without a `hello_id` it answers nothing, and only says what is wished from now on.
    """

    KIND: ClassVar[str] = "settings"
    wall_s: float  # the bridge's clock when it answered
    hello_id: str = ""  # of the hello, or of the ping
    ping_every_s: float = 0.0  # somebody looks at this agent; 0: as often as before
    ping_for_s: float = 0.0  # and so long
    intake: Intake = Intake.AS_IT_IS


@dataclass(frozen=True, slots=True, kw_only=True)
class Renew:
    """Down: enrol again, for a new token or other keys. It carries neither: RabbitMQ would keep it."""

    KIND: ClassVar[str] = "renew"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bundle:
    """Down: what a bundle consists of on one platform, or why that cannot be said.

    `manifest` is signed by itself (`wire.bundles.stated`), so that it may come by any link and be kept (I4).
    """

    KIND: ClassVar[str] = "bundle"
    bundle: str
    platform: str
    manifest: bytes = b""
    kid: str = ""
    sig: bytes = b""
    error: str = ""  # why there is none
    again_s: float = 0.0  # it may be there after so long; 0: the error is the last word


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """Down: bytes of an artefact, from `start` on; none: it is not to be had here now."""

    KIND: ClassVar[str] = "part"
    sha256: str
    start: int
    part: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Needed:
    """Down: the bundles of the scripts that have this agent's tags, to be fetched ahead of need."""

    KIND: ClassVar[str] = "needed"
    bundles: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hello:
    """Up: the link is up; this is what I am and hold."""

    KIND: ClassVar[str] = "hello"
    worker: WorkerName
    version: str
    slots: int
    held: int
    backlog: int
    wall_s: float
    tags: list[str] = field(default_factory=list)
    hostname: str = ""
    restarted: bool = False  # the first one since the spool was read: rows may be missing from it
    hello_id: str = ""  # comes back with the answer; an older agent asks for none
    clock_offset_ms: int | None = None  # our wall clock minus the bridge's, when we know it
    languages: list[str] = field(default_factory=list)  # that it can run; an older agent does not say


@dataclass(frozen=True, slots=True, kw_only=True)
class Accepted:
    """Up: the job is in my spool, fsynced (hop 3)."""

    KIND: ClassVar[str] = "accepted"
    job_id: JobId
    attempt: Attempt
    grant_id: str = ""  # comes back with the grant; an older agent takes any


@dataclass(frozen=True, slots=True, kw_only=True)
class Rejected:
    """Up: I refused what came, and why; it is in the dead letters."""

    KIND: ClassVar[str] = "rejected"
    reason: str
    body: bytes = b""  # what came; of a body over 12 MiB the first 64 KiB
    job_id: str = ""
    attempt: int = 0
    sha256: str = ""  # of the bytes that should have been signed, when they could be read so far
    claimed_job_id: str = ""  # what an unproved body says it is: a hint, checked against the ledger
    claimed_attempt: int = 0
    language: str = ""  # that this agent does not run: the job is as good as it was, for another agent


@dataclass(frozen=True, slots=True, kw_only=True)
class Started:
    """Up: the job's process is about to be spawned."""

    KIND: ClassVar[str] = "started"
    job_id: JobId
    attempt: Attempt
    started_at: float  # wall seconds of the site


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """Up: text of a job. `offset` counts the characters before it in this attempt (I5)."""

    KIND: ClassVar[str] = "log"
    job_id: JobId
    attempt: Attempt
    offset: int
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Blob:
    """Up: part `index` of `of` of the bytes whose SHA-256 is `sha256` (hexadecimal)."""

    KIND: ClassVar[str] = "blob"
    job_id: JobId
    attempt: Attempt
    sha256: str
    index: int
    of: int
    part: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """Up: how the attempt ended. The document is inline, or in the blob named by `blob_sha256`."""

    KIND: ClassVar[str] = "result"
    job_id: JobId
    attempt: Attempt
    workspace: str
    success: bool
    document: bytes = b""  # one JSON document: the result, or the error object
    blob_sha256: str = ""
    blob_parts: int = 0
    started_at: float | None = None  # wall seconds of the site
    finished_at: float = 0.0
    duration_ms: int = 0  # monotonic
    mem_peak_kb: int | None = None
    exit_code: int | None = None
    log_chars: int = 0
    canceled_by: str | None = None
    canceled_reason: str | None = None
    finished_while_down: bool = False  # the link was down when it finished
    clock_offset_ms: int | None = None  # the site's wall clock minus the bridge's, for the two times above
    refused: str = ""  # why the agent did not run it, for the dead letters too: its not_after had passed
    states: dict[str, str] = field(default_factory=dict)  # what it set for its script's next run: path → JSON


@dataclass(frozen=True, slots=True, kw_only=True)
class Ping:
    """Up: still here, holding this much.

    One that wants an answer travels behind the results: it comes when those before it have been dealt with.
    """

    KIND: ClassVar[str] = "ping"
    held: int
    running: int
    backlog: int
    wall_s: float
    clock_offset_ms: int | None = None
    ping_id: str = ""  # comes back with the answer
    next_s: float | None = None  # the next one leaves in so many seconds, if all is well
    backlog_age_s: float | None = None  # of the result that waits longest to leave
    spool_bytes: int | None = None  # used by the spool
    spool_most_bytes: int | None = None  # what it may use
    drained: bool = False  # it was told to take nothing new
    progress: dict[str, str] = field(default_factory=dict)  # running job → percent, where it says so


@dataclass(frozen=True, slots=True, kw_only=True)
class Want:
    """Up: send me the manifest of this bundle, or a part of an artefact of it; nothing named: say `needed`.

    Once all of it is here (`have` is `of`) nothing is wanted. It may be lost: whoever wants asks again.
    """

    KIND: ClassVar[str] = "want"
    bundle: str = ""
    platform: str = ""
    sha256: str = ""  # of the artefact; empty: the manifest
    start: int = 0
    size: int = 0  # bytes, at most
    have: int = 0  # bytes of the whole bundle that are here, for who watches
    of: int = 0  # and of how many; 0: that is not known yet


@dataclass(frozen=True, slots=True, kw_only=True)
class Bye:
    """Up: leaving on purpose; what I hold stays with me."""

    KIND: ClassVar[str] = "bye"
    held: int


Down: TypeAlias = Job | Grant | Revoke | Cancel | Check | Receipt | Settings | Renew | Bundle | Part | Needed
Up: TypeAlias = Hello | Accepted | Rejected | Started | Log | Blob | Result | Ping | Want | Bye
Message: TypeAlias = Down | Up

KINDS: Final[dict[str, type[Message]]] = {
    kind.KIND: kind
    for kind in (
        Job, Grant, Revoke, Cancel, Check, Receipt, Settings, Renew, Bundle, Part, Needed,
        Hello, Accepted, Rejected, Started, Log, Blob, Result, Ping, Want, Bye,
    )
}  # fmt: skip

# By whom an attempt is stopped that is no longer wanted, and why. Such an end is not the job's.
OVER: Final = ("orvanta", "the job has ended without this attempt")


def canceled_error(by: str, reason: str) -> dict[str, str]:
    """The error object of a job that was cancelled before it started (agent-api.md 7.5)."""
    return {
        "name": "Canceled",
        "message": f"Job canceled: {reason} by {by}",
        "reason": reason,
        "canceler": by,
    }
