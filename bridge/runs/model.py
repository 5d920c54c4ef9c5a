"""What is known of one job at one moment: where it stands, who has it, who could take it. Values only."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class Where(StrEnum):
    """The job's record in the cluster."""

    LATER = "later"
    READY = "ready"
    RUNNING = "running"  # handed out: to the bridge, an agent or a worker
    OVER = "over"


class Link(StrEnum):
    BROKER = "RabbitMQ"
    HTTP = "HTTP"  # an agent, or a normal worker


class Standing(StrEnum):
    """Of whoever could run it."""

    UP = "up"
    DRAINING = "draining"
    DOWN = "offline"
    LEFT = "stopped"  # it said good-bye


AWAY: Final = (Standing.DOWN, Standing.LEFT)


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """Times are wall seconds of the bridge; None: not, or not yet."""

    job_id: str
    workspace: str
    tag: str
    where: Where
    language: str = ""
    created_at: float
    created_by: str = ""
    scheduled_for: float = 0.0
    delivery: str = "at_least_once"
    not_after: float | None = None
    worker: str | None = None  # to whom the cluster gave it
    handed_out_at: float | None = None
    restarts: int = 0
    canceled_by: str | None = None
    canceled_reason: str | None = None
    status: str | None = None  # success, failure, canceled
    completed_at: float | None = None
    duration_ms: int | None = None
    last_ping_at: float | None = None
    percent: int | None = None
    waits_for: str | None = None  # a concurrency key that is full
    met_limit: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One dispatch of it, as the ledger has it. All times are by the bridge's clock."""

    number: int
    state: str  # taken, published, accepted, closed
    taken_at: float
    published_at: float | None = None
    custodian: str | None = None
    accepted_at: float | None = None
    started_at: float | None = None
    finished_at: float | None = None
    result_at: float | None = None
    closed_at: float | None = None
    outcome: str | None = None
    late: int = 0
    revoked: str | None = None
    finished_while_down: bool = False
    cancel_sent: str | None = None
    waits_for: str | None = None  # a language that not all agents of its tag run

    @property
    def is_open(self) -> bool:
        return self.state != "closed"


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """Who has the job's tag. `since`: when it was heard of last, or said good-bye, if it is away."""

    name: str
    link: Link
    standing: Standing
    since: float
    slots: int | None = None
    held: int | None = None
    languages: frozenset[str] | None = None  # None: nobody knows what it runs

    def runs(self, language: str) -> bool:
        return not language or self.languages is None or language in self.languages


@dataclass(frozen=True, slots=True, kw_only=True)
class Way:
    """What stands between the cluster and the sites. `ready_max` None: the bridge has no broker."""

    ready_max: int | None = None
    is_up: bool = False
    blocked: str = ""  # why RabbitMQ takes nothing now
    waiting: int = 0  # jobs of the tag that no agent has accepted


@dataclass(frozen=True, slots=True, kw_only=True)
class Supply:
    """How much of what a job imports is at its site."""

    have: int  # bytes
    size: int  # 0: not known yet
    why: str  # what holds it up; empty: nothing


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    now_s: float
    job: Job
    attempts: Sequence[Attempt] = ()  # the oldest first
    servers: Sequence[Server] = ()
    holder: Server | None = None  # who has it now
    way: Way = Way()
    ahead: int = 0  # ready jobs of the tag that go first
    in_key: int = 0  # places of its concurrency key that are taken
    parts: int = 0  # of its result, that have come
    parts_of: int = 0
    lost_after_s: float = 86_400.0  # for how long a silent holder keeps it
    may_replace: bool = True
    quarantined: int = 0  # results of it that wait for a word
    supply: Supply | None = None  # what its holder still fetches of what it imports

    @property
    def current(self) -> Attempt | None:
        """The attempt that is out."""
        return next((one for one in reversed(self.attempts) if one.is_open), None)
