"""The agent's spool under crash enumeration: its public calls, and what each must leave (I3, I5)."""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

from agent.spool.rows import Key, LogChunk, Taken
from agent.spool.spool import MIGRATIONS, Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Delivery, Job, Result
from tests.crash_states.work import Call, Life, StillClock

CODE: Final = "print('x')\n"
LARGE_CODE: Final = 1_500  # lines: the row needs pages of its own
LOG_TEXT: Final = "a line of the job's log\n"
PENDING: Final = 1_000


@dataclass(slots=True)
class Held:
    """A row as it can be asked for, with the job and the result behind it."""

    state: str
    job: Job | None
    result: Result | None = None
    document: bytes | None = None
    interruptions: int = 0
    accepted_sent: bool = False
    started_sent: bool = False
    started_at: float | None = None
    canceled_by: str | None = None
    log_chars: int = 0

    def is_open(self) -> bool:
        return self.state not in ("finished", "sent") or not self.accepted_sent


@dataclass(slots=True)
class Kept:
    held: dict[Key, Held] = field(default_factory=dict)
    seen: set[Key] = field(default_factory=set)  # never taken again
    log: list[tuple[Key, int, str]] = field(default_factory=list)
    meta: dict[str, str] = field(default_factory=dict)


SpoolCall = Call[Spool, Kept]


class SpoolWork:
    """Each round takes five jobs through everything that a spool is asked to remember."""

    database = "spool/spool.db"
    migrations: Sequence[str] = MIGRATIONS
    mends_damage = True
    recovery: Life[Spool, Kept] = Life(
        [[Call("take stock", lambda spool: spool.take_stock(), lambda _kept: None)]], is_killed=False
    )

    def __init__(self, rounds: int) -> None:
        self._jobs = [job(f"{number}-{name}", name) for number in range(rounds) for name in "abcde"]
        self.lives: Sequence[Life[Spool, Kept]] = [
            life
            for number in range(rounds)
            for life in (
                Life(first_half(number), is_killed=number % 2 == 0),
                Life(second_half(number), is_killed=number % 2 == 1),
            )
        ]

    def nothing(self) -> Kept:
        return Kept()

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Spool]:
        spool = await Spool.open(folder / "spool", StillClock())
        try:
            yield spool
        finally:
            await spool.close()

    def note(self, spool: Spool) -> str:
        return spool.folder.identity

    async def flaws(self, spool: Spool) -> list[str]:
        aside = [path.name for path in spool.folder.path.glob("spool.damaged-*")]
        quarantined = [key for _, *key, _ in await spool.unreported()]
        found = [f"a power cut was taken for damage: {name}" for name in aside]
        return [*found, f"in quarantine: {quarantined}"] if quarantined else found

    async def kept(self, spool: Spool) -> Kept:
        rows = [row for one in self._jobs if (row := await spool.row(_key(one)))]
        kept = Kept({(row.job_id, row.attempt): await _held(spool, row) for row in rows})
        not_over = {(row.job_id, row.attempt) for row in await spool.open_rows()}
        if lost := [key for key, held in kept.held.items() if held.is_open() and key not in not_over]:
            raise AssertionError(f"a start would not find {lost}")
        kept.log = [(chunk.key, chunk.offset, chunk.text) for chunk in await spool.pending_log(PENDING)]
        for name in ("link", "count"):
            if (value := await spool.get_meta(name)) is not None:
                kept.meta[name] = value
        for one in self._jobs:  # what was let go of is not taken again, what is held is not taken twice
            key = (one.job_id, one.attempt)
            taken = await spool.hold(one, pack([one]), "ready")
            if taken is Taken.OVER:
                kept.seen.add(key)
            if taken is Taken.NEW and key in kept.held:
                raise AssertionError(f"{key} was taken twice")
        return kept


async def _held(spool: Spool, row: Any) -> Held:
    key = (row.job_id, row.attempt)
    result = await spool.result(key)
    return Held(
        state=row.state,
        job=await spool.job(key),
        result=None if result is None else replace(result, document=b"", blob_sha256="", blob_parts=0),
        document=None if result is None else result.document or await _document(spool, result),
        interruptions=row.interruptions,
        accepted_sent=row.accepted_sent,
        started_sent=row.started_sent,
        started_at=row.started_at,
        canceled_by=row.canceled_by,
        log_chars=row.log_chars,
    )


async def _document(spool: Spool, result: Result) -> bytes | None:
    parts = [await spool.part(result, index) for index in range(result.blob_parts)]
    return b"".join(parts) if await spool.is_whole(result) else None


def job(job_id: str, name: str) -> Job:
    return Job(
        job_id=JobId(job_id),
        attempt=Attempt(1),
        workspace="main",
        tag=Tag("pump"),
        language="bash",
        code=CODE * (LARGE_CODE if name == "d" else 1),
        args=b"{}",
        delivery=Delivery.AT_MOST_ONCE if name == "e" else Delivery.AT_LEAST_ONCE,
    )


def first_half(number: int) -> list[list[SpoolCall]]:
    a, b, c, d, e = (job(f"{number}-{name}", name) for name in "abcde")
    large = b'"' + b"x" * BLOB_PART_BYTES + b'"'
    return [
        [hold(a), hold(b), hold(c)],
        [mark("accepted_sent", a, b)],
        [move(a, "started", started_at=5.0), hold(d)],
        [add_log(a, 0, LOG_TEXT), mark("started_sent", a)],
        [add_log(a, len(LOG_TEXT), LOG_TEXT * 200)],
        [move(b, "started", started_at=6.0)],
        [finish(a, b'{"sold": 3}')],
        [finish(b, large), hold(e), set_meta("link", f"amqp {number}")],
        [add_log(b, 0, LOG_TEXT)],
    ]


def second_half(number: int) -> list[list[SpoolCall]]:
    a, b, c, d, e = (job(f"{number}-{name}", name) for name in "abcde")
    return [
        [hold_again(d), mark("accepted_sent", e)],
        [sent(a, b)],
        [log_sent(1)],
        [move(c, "ready", canceled_by="operator"), set_meta("count", str(number))],
        [forget(True, a, b)],
        [hold_again(a), finish(c, b'{"error": "Canceled"}')],
        [move(d, "started", interruptions=1, started_at=7.0), move(e, "ready")],
        [log_sent(PENDING)],
        [forget(False, c)],
        [finish(d, b"null"), forget(False, e)],
    ]


def _key(one: Job) -> Key:
    return (one.job_id, one.attempt)


def hold(one: Job) -> SpoolCall:
    def change(kept: Kept) -> None:
        kept.held[_key(one)] = Held("ready", one)

    return Call(f"hold {one.job_id}", lambda spool: spool.hold(one, pack([one]), "ready"), change)


def hold_again(one: Job) -> SpoolCall:
    """A duplicate: it changes nothing, but for a held job that we say once more that we hold."""

    def change(kept: Kept) -> None:
        if held := kept.held.get(_key(one)):
            held.accepted_sent = False

    return Call(f"hold {one.job_id} again", lambda spool: spool.hold(one, pack([one]), "ready"), change)


def move(one: Job, state: str, *, interruptions: int = 0, **named: Any) -> SpoolCall:
    def change(kept: Kept) -> None:
        held = kept.held[_key(one)]
        held.state, held.interruptions = state, interruptions
        for name, value in named.items():
            setattr(held, name, value)

    return Call(
        f"move {one.job_id} to {state}",
        lambda spool: spool.move(_key(one), state, interruptions, **named),
        change,
    )


def finish(one: Job, document: bytes) -> SpoolCall:
    result = Result(job_id=one.job_id, attempt=one.attempt, workspace="main", success=True, finished_at=9.0)

    def change(kept: Kept) -> None:
        held = kept.held[_key(one)]
        held.state, held.result, held.document = "finished", result, document
        held.started_sent = True  # the result says it

    return Call(
        f"finish {one.job_id} with {len(document)} bytes",
        lambda spool: spool.finish(_key(one), "finished", replace(result, document=document)),
        change,
    )


def mark(what: str, *jobs: Job) -> SpoolCall:
    return _on_rows(
        f"mark {what}",
        lambda spool: spool.mark(what, [_key(one) for one in jobs]),
        lambda held: setattr(held, what, True),
        jobs,
    )


def sent(*jobs: Job) -> SpoolCall:
    return _on_rows(
        "sent",
        lambda spool: spool.sent([_key(one) for one in jobs], "sent"),
        lambda held: setattr(held, "state", "sent"),
        jobs,
    )


def _on_rows(
    text: str,
    make: Callable[[Spool], Awaitable[object]],
    change_one: Callable[[Held], object],
    jobs: Sequence[Job],
) -> SpoolCall:
    def change(kept: Kept) -> None:
        for one in jobs:
            change_one(kept.held[_key(one)])

    return Call(text, make, change)


def forget(keep_log: bool, *jobs: Job) -> SpoolCall:  # noqa: FBT001 the spool's own word
    keys = [_key(one) for one in jobs]

    def change(kept: Kept) -> None:
        for key in keys:
            del kept.held[key]
            kept.seen.add(key)
        if not keep_log:
            kept.log = [chunk for chunk in kept.log if chunk[0] not in keys]

    return Call(f"forget {keys}", lambda spool: spool.forget(keys, keep_log=keep_log), change)


def add_log(one: Job, offset: int, text: str) -> SpoolCall:
    def change(kept: Kept) -> None:
        kept.log.append((_key(one), offset, text))
        kept.held[_key(one)].log_chars = offset + len(text)

    return Call(
        f"log of {one.job_id} from {offset}", lambda spool: spool.add_log(_key(one), offset, text), change
    )


def log_sent(most: int) -> SpoolCall:
    async def make(spool: Spool) -> None:
        chunks: list[LogChunk] = await spool.pending_log(most)
        await spool.log_sent([chunk.chunk_id for chunk in chunks])

    return Call(f"the oldest {most} chunks sent", make, lambda kept: kept.log.__delitem__(slice(most)))


def set_meta(name: str, value: str) -> SpoolCall:
    return Call(
        f"meta {name}",
        lambda spool: spool.set_meta(name, value),
        lambda kept: kept.meta.update({name: value}),
    )
