"""Spools as a long outage leaves them, made in seconds: rows are what the real spool would have written."""

import asyncio
import hashlib
import sqlite3
import time
import uuid
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, Final
from zlib import crc32

from agent.clock import SystemClock
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Result

TAG: Final = Tag("bench")
CHUNK: Final = 5000  # rows in one statement
ROW: Final = (
    "INSERT INTO held (job_id, attempt, tag, state, delivery, max_interruptions, held_at, body, body_crc,"
    " accepted_sent, started_at, started_sent, finished_at, result, result_crc, parts_left)"
    " VALUES (:job_id, 1, :tag, :state, 'at_least_once', 3, :at, :body, :body_crc,"
    " 1, :started_at, 1, :finished_at, :result, :result_crc, 0)"
)


def job(number: int, code: str = "true") -> Job:
    return Job(
        job_id=JobId(str(uuid.uuid5(uuid.NAMESPACE_OID, str(number)))),
        attempt=Attempt(1),
        workspace="main",
        tag=TAG,
        language="bash",
        code=code,
        args=b"{}",
    )


def document(number: int, size: int) -> bytes:
    """JSON text that compresses as little as hexadecimal digits do."""
    digits = "".join(
        hashlib.sha256(f"{number} {part}".encode()).hexdigest() for part in range(max(1, size // 64))
    )
    return f'"{digits}"'.encode()


def result(of: Job, text: bytes) -> Result:
    return Result(
        job_id=of.job_id, attempt=of.attempt, workspace=of.workspace, success=True, document=text,
        started_at=1.0, finished_at=2.0, duration_ms=1000, exit_code=0,
    )  # fmt: skip


def empty(folder: Path) -> Path:
    """A new spool's database, closed."""

    async def made() -> None:
        spool = await Spool.open(folder, SystemClock())
        await spool.close()

    asyncio.run(made())
    return folder / "spool.db"


def fill(folder: Path, finished: int, *, size: int, ready: int = 0, code: str = "true") -> None:
    """A spool with results of `size` bytes that have not been sent, and jobs that may start."""
    with closing(sqlite3.connect(empty(folder), isolation_level=None)) as database:
        database.execute("PRAGMA synchronous = OFF")
        rows = _rows(finished, size, ready, code)
        while chunk := [row for row, _ in zip(rows, range(CHUNK), strict=False)]:
            database.execute("BEGIN")
            database.executemany(ROW, chunk)
            database.execute("COMMIT")
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _rows(finished: int, size: int, ready: int, code: str) -> Iterator[dict[str, Any]]:
    text = document(0, size)
    for number in range(finished):
        one = job(number)
        packed = pack([result(one, text)])
        yield _row(one, "finished") | {
            "started_at": 1.0, "finished_at": 2.0, "result": packed, "result_crc": crc32(packed),
        }  # fmt: skip
    for number in range(finished, finished + ready):
        yield _row(job(number, code), "ready")


def _row(one: Job, state: str) -> dict[str, Any]:
    body = pack([one])
    return {
        "job_id": one.job_id, "tag": one.tag, "state": state, "at": time.time(), "body": body,
        "body_crc": crc32(body), "started_at": None, "finished_at": None, "result": None, "result_crc": None,
    }  # fmt: skip
