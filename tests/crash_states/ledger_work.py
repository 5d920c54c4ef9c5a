"""The bridge's ledger under crash enumeration: take, accept, close and what stands beside (I1, I2, I3)."""

import hashlib
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import Any, Final

from agent.wire.claims import Attempt, Claims, JobId, Tag, WorkerName
from agent.wire.messages import Blob
from bridge.relay.ledger import Custody, Key, Ledger
from bridge.store.connection import MIGRATIONS, open_store
from tests.crash_states.work import Call, Life, StillClock

NORTH: Final = WorkerName("ag-shops-north-Abc12")
SOUTH: Final = WorkerName("ag-shops-south-Abc12")
PARTS: Final = (
    b"p" * 9_000,
    b"q" * 9_000,
)  # pages of their own; each a document, so that each can be asked for
SHA256: Final = [hashlib.sha256(part).hexdigest() for part in PARTS]


@dataclass(slots=True)
class Row:
    body: bytes | None
    state: str = "taken"
    custodian: str | None = None
    started_at: float | None = None
    cancel_sent: str | None = None
    outcome: str | None = None
    late: int = 0


@dataclass(slots=True)
class Kept:
    rows: dict[Key, Row] = field(default_factory=dict)
    parts: set[tuple[JobId, int]] = field(default_factory=set)
    log_chars: dict[Key, int] = field(default_factory=dict)
    held: dict[str, int] = field(default_factory=dict)  # as each enrolled agent has said
    keys: dict[str, bytes] = field(default_factory=dict)


LedgerCall = Call[Ledger, Kept]


class LedgerWork:
    """Each round brings four jobs home from the cluster, one of them through a lost agent."""

    database = "store.db"
    migrations: Sequence[str] = [script.read_text() for script in sorted(MIGRATIONS.glob("*.sql"))]
    mends_damage = False
    recovery: Life[Ledger, Kept] = Life((), is_killed=False)

    def __init__(self, rounds: int) -> None:
        self.lives: Sequence[Life[Ledger, Kept]] = [
            life
            for number in range(rounds)
            for life in (
                Life(out(number), is_killed=number % 2 == 0),
                Life(home(number), is_killed=number % 2 == 1),
            )
        ]

    def nothing(self) -> Kept:
        return Kept()

    @asynccontextmanager
    async def opened(self, folder: Path) -> AsyncIterator[Ledger]:
        store = await open_store(folder / "store.db")
        try:
            yield Ledger(store, StillClock())
        finally:
            await store.close()

    def note(self, _ledger: Ledger) -> str:
        return "a ledger"

    async def flaws(self, _ledger: Ledger) -> list[str]:
        return []  # a store that cannot be used does not open

    async def kept(self, ledger: Ledger) -> Kept:
        kept = Kept(held={row["worker"]: row["held"] for row in await ledger.agents()})
        for row in await ledger.custody():
            key = (row["job_id"], row["attempt"])
            kept.rows[key] = await _row(ledger, row)
            if chars := await ledger.log_chars(key, NORTH):
                kept.log_chars[key] = chars
        for job_id, index in product({key[0] for key in kept.rows}, range(len(PARTS))):
            if await ledger.assemble(job_id, SHA256[index]) == PARTS[index]:
                kept.parts.add((job_id, index))
        kept.keys = await ledger.keys()
        await ledger.add_key("probe", b"")  # and it takes writes
        return kept


async def _row(ledger: Ledger, row: dict[str, Any]) -> Row:
    key = (row["job_id"], row["attempt"])
    custody = await ledger.attempt(key)
    return Row(
        body=await ledger.body(key),
        state=row["state"],
        custodian=row["custodian"],
        started_at=row["started_at"],
        cancel_sent=custody.cancel_sent if custody else None,
        outcome=row["outcome"],
        late=row["late"],
    )


def out(number: int) -> list[list[LedgerCall]]:
    a, b, c, d = (_key(number, name) for name in "abcd")
    return [
        [add_key(f"k{number}"), enrol(NORTH), enrol(SOUTH)],
        [take(a), take(b), take(c)],
        [published(a), published(b)],
        [accept(a, NORTH), accept(b, NORTH), take(d)],
        [accept_in_vain(a, SOUTH), started(a), published(c)],
        [add_part(a, 0), log_moved(a, 40), heard(NORTH, 2)],
        [accept(c, SOUTH), accept(d, NORTH)],
        [cancel_sent(d)],
    ]


def home(number: int) -> list[list[LedgerCall]]:
    a, b, c, d = (_key(number, name) for name in "abcd")
    again = (b[0], Attempt(2))
    return [
        [add_part(a, 1)],
        [close(a, "success"), started(c)],
        [replace(b)],
        [close_elsewhere(d), late(a), log_moved(c, 7)],
        [published(again), close(c, "failure")],
        [accept(again, SOUTH), heard(NORTH, 0)],
        [close(again, "success")],
    ]


def _key(number: int, name: str) -> Key:
    return (JobId(f"{number}-{name}"), Attempt(1))


def _body(key: Key) -> bytes:
    return f"the signed bytes of {key}".encode() * (300 if key[0].endswith("c") else 1)


def _custody(key: Key, custodian: WorkerName | None = None) -> Custody:
    return Custody(
        job_id=key[0], attempt=key[1], workspace="main", tag=Tag("pump"), token="token",
        job_json=json.dumps({}), custodian=custodian,
    )  # fmt: skip


def _on_row(
    text: str, key: Key, make: Callable[[Ledger], Awaitable[object]], change: Callable[[Row], None]
) -> LedgerCall:
    return Call(f"{text} {key[0]}/{key[1]}", make, lambda kept: change(kept.rows[key]))


def take(key: Key) -> LedgerCall:
    return Call(
        f"take {key[0]}",
        lambda ledger: ledger.take(_custody(key), _body(key)),
        lambda kept: kept.rows.update({key: Row(_body(key))}),
    )


def published(key: Key) -> LedgerCall:
    def change(row: Row) -> None:
        if row.state == "taken":
            row.state = "published"

    return _on_row("published", key, lambda ledger: ledger.published(key), change)


def accept(key: Key, worker: WorkerName) -> LedgerCall:
    def change(row: Row) -> None:
        row.state, row.custodian = "accepted", worker

    return _on_row("accept", key, lambda ledger: ledger.accept(key, worker), change)


def accept_in_vain(key: Key, worker: WorkerName) -> LedgerCall:
    return Call(
        f"accept {key} by another", lambda ledger: ledger.accept(key, worker), lambda _kept: None
    )  # I2


def started(key: Key) -> LedgerCall:
    def change(row: Row) -> None:
        row.started_at = 5.0

    return _on_row("started", key, lambda ledger: ledger.started(key, 5.0), change)


def cancel_sent(key: Key) -> LedgerCall:
    def change(row: Row) -> None:
        row.cancel_sent = "operator"

    return _on_row("cancel sent", key, lambda ledger: ledger.cancel_sent(key, "operator"), change)


def late(key: Key) -> LedgerCall:
    def change(row: Row) -> None:
        row.late += 1

    return _on_row("late", key, lambda ledger: ledger.late(key), change)


def close(key: Key, outcome: str) -> LedgerCall:
    """Every attempt of the job is over in the one commit, and its parts go with it."""

    def change(kept: Kept) -> None:
        for other, row in kept.rows.items():
            if other[0] == key[0] and (row.state != "closed" or other == key):
                row.state, row.outcome, row.body = "closed", outcome, None
        kept.parts = {part for part in kept.parts if part[0] != key[0]}

    return Call(
        f"close {key[0]}/{key[1]}",
        lambda ledger: ledger.close(key, outcome),
        change,
    )


def close_elsewhere(key: Key) -> LedgerCall:
    def change(row: Row) -> None:
        row.state, row.outcome, row.body = "closed", "elsewhere", None

    return _on_row("close elsewhere", key, lambda ledger: ledger.close_elsewhere(key), change)


def replace(key: Key) -> LedgerCall:
    """I1: the next attempt is taken in the commit that gives this one up."""
    following = (key[0], Attempt(key[1] + 1))

    def change(kept: Kept) -> None:
        row = kept.rows[key]
        row.state, row.outcome, row.body = "closed", "lost", None
        kept.rows[following] = Row(_body(following))

    lost = _custody(key, custodian=NORTH)
    return Call(f"replace {key[0]}", lambda ledger: ledger.replace(lost, _body(following)), change)


def add_part(key: Key, index: int) -> LedgerCall:
    blob = Blob(job_id=key[0], attempt=key[1], sha256=SHA256[index], index=0, of=1, part=PARTS[index])
    return Call(
        f"part {index} of {key[0]}",
        lambda ledger: ledger.add_part(blob),
        lambda kept: kept.parts.add((key[0], index)),
    )


def log_moved(key: Key, chars: int) -> LedgerCall:
    return Call(
        f"log of {key[0]} to {chars}",
        lambda ledger: ledger.log_moved(key, NORTH, chars),
        lambda kept: kept.log_chars.update({key: chars}),
    )


def enrol(worker: WorkerName) -> LedgerCall:
    claims = Claims(worker, "shops", frozenset({Tag("pump")}), 2_000_000_000)
    return Call(
        f"enrol {worker}",
        lambda ledger: ledger.enrol(claims, "1", 2),
        lambda kept: kept.held.setdefault(worker, 0),
    )


def heard(worker: WorkerName, held: int) -> LedgerCall:
    return Call(
        f"heard of {held} held",
        lambda ledger: ledger.heard(worker, held=held),
        lambda kept: kept.held.update({worker: held}),
    )


def add_key(kid: str) -> LedgerCall:
    return Call(
        f"key {kid}",
        lambda ledger: ledger.add_key(kid, b"k" * 32),
        lambda kept: kept.keys.update({kid: b"k" * 32}),
    )
