"""Run and wait: the caller gets the job's result instead of its id (agent-api.md 8.1)."""

import asyncio
import base64
import binascii
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

import msgspec
from msgspec import Struct

from agent.clock import Clock
from bridge.errors import BadRequest, BridgeError
from bridge.jobs.model import Order
from bridge.jobs.news import News
from bridge.jobs.records import MaybeResult, Records
from bridge.jobs.service import Jobs

WAIT_S: Final = 600.0  # the job goes on; its id is in the answer
LOOK_AGAIN_S: Final = 30.0  # every end is told, so this is for safety
WAITERS_MAX: Final = 1000  # (I6)
FAILED: Final = 500  # the status of a failed job's answer, unless its result chooses another
STATUS_KEY: Final = "windmill_status_code"


class TooMany(BridgeError):
    """503: as many callers wait as there may."""


class NotInTime(BridgeError):
    """504: the job goes on, and its result can be asked for."""


class _Chosen(Struct):
    """A result that chooses the status of the answer."""

    windmill_status_code: int
    result: msgspec.Raw = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    document: bytes  # JSON


class Waiting:
    def __init__(self, jobs: Jobs, records: Records, endings: News, clock: Clock) -> None:
        self._clock = clock
        self._jobs = jobs
        self._records = records
        self._endings = endings
        self._waiters = 0

    async def run(self, order: Order, queue_limit: int | None, failed: int = FAILED) -> Answer:
        """`failed`: the status of a failure. Raises as `Jobs.push`; `TooMany` before there is a job,
        `NotInTime` after.
        """
        if self._waiters >= WAITERS_MAX:
            raise TooMany(
                f"{WAITERS_MAX} callers wait for a result already; use jobs/run and ask for it later"
            )
        if queue_limit is not None:
            waiting = (await self._records.waiting(order.workspace)).database_length
            if waiting >= queue_limit:
                raise BadRequest(f"{waiting} jobs wait already and queue_limit is {queue_limit}")
        self._waiters += 1
        try:
            job_id = await self._jobs.push(order)
            return _answer(await self._ended(order.workspace, job_id), failed)
        finally:
            self._waiters -= 1

    async def _ended(self, workspace: str, job_id: str) -> MaybeResult:
        until_s = self._clock.monotonic_s() + WAIT_S
        newest = job_id  # of those that retry it
        while self._clock.monotonic_s() < until_s:
            with self._endings.watched(newest) as ended:
                watched, (newest, found) = newest, await self._records.end_of_chain(workspace, job_id)
                if found.completed:
                    return found
                if newest == watched:
                    with suppress(TimeoutError):
                        async with asyncio.timeout(LOOK_AGAIN_S):
                            await ended.wait()
        raise NotInTime(
            f"job {job_id} has not ended within {WAIT_S:.0f} s and goes on; "
            f"jobs_u/completed/get_result/{job_id} will have its result"
        )


def _answer(found: MaybeResult, failed: int) -> Answer:
    """200 or the status that the result chooses; `failed` for a failed job, whose result says why."""
    document: bytes = bytes(found.result)
    status = 200 if found.success else failed
    if STATUS_KEY.encode() in document:
        with suppress(msgspec.MsgspecError):
            chosen = msgspec.json.decode(document, type=_Chosen)
            if 200 <= chosen.windmill_status_code <= 599:  # noqa: PLR2004 what HTTP has for a final answer
                return Answer(chosen.windmill_status_code, bytes(chosen.result))
    return Answer(status, document)


def payload_args(payload: str) -> bytes:
    """The JSON text of a base64 `payload`. Raises `BadRequest`."""
    try:
        return base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4))
    except (ValueError, binascii.Error):
        raise BadRequest("payload must be the arguments' JSON object in base64url") from None
