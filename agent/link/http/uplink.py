"""Results and log text go up; a receipt comes down once the cluster has both."""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from typing import Final

import structlog

from agent.errors import AnswerLost, LinkDown, Unwanted
from agent.link.http.api import Api
from agent.link.http.dialect import Dialect
from agent.link.http.holdings import Holdings, Key
from agent.link.http.origins import Origin, Origins
from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.agent_api import around_result
from agent.wire.claims import JobId
from agent.wire.messages import OVER, Blob, Log, Message, Receipt, Result

log = structlog.get_logger()

AT_ONCE: Final = 8  # results on their way

Tell = Callable[[Sequence[Message]], Awaitable[None]]


class Uplink:
    """One life of the link. A receipt lets go of the job, and its text could not be named after that."""

    def __init__(
        self,
        api: Api,
        dialect: Dialect,
        holdings: Holdings,
        origins: Origins,
        tell: Tell,
        device: SigningKey | None = None,
    ) -> None:
        """`device`: signs each result; without one none is signed."""
        self._api = api
        self._dialect = dialect
        self._holdings = holdings
        self._origins = origins
        self._tell = tell
        self._device = device
        self._bound = asyncio.Semaphore(AT_ONCE)
        self._pushed: dict[Key, int] = {}  # characters that have left in this life
        self._recorded: dict[Key, int] = {}  # whose text has not left in all; how many characters there are

    async def send_results(self, results: Sequence[Result]) -> None:
        """On return the cluster has recorded them, or refused one for good. Raises `LinkDown`."""
        with_log = await self._holdings.with_log() if any(one.log_chars for one in results) else set()
        try:
            async with asyncio.TaskGroup() as group:
                for result in results:
                    group.create_task(self._send(result, with_log), name="result")
        except* LinkDown as errors:
            raise errors.exceptions[0] from None

    async def send_parts(self, parts: Sequence[Blob]) -> None:
        """Of large results. What the cluster does not take goes whole, later. Raises `LinkDown`."""
        for part in parts if self._dialect.takes_parts else ():
            origin = await self._origins.of((part.job_id, part.attempt))
            if origin is not None:
                try:
                    await self._api.result_part(origin.workspace, part)
                except Unwanted as error:
                    log.warning("result.part_refused", job_id=part.job_id, reason=str(error))

    async def push_logs(self, messages: Sequence[Log]) -> None:
        for key, start, text in _joined(messages):
            origin = await self._origins.of(key)
            if origin is None:
                continue  # it is let go, so all of its text has left before
            try:
                await self._dialect.push_log(origin.workspace, key, start, text)
            except Unwanted as error:
                log.warning("joblog.refused", job_id=key[0], characters=len(text), reason=str(error))
            self._pushed[key] = start + len(text)
            if self._recorded.get(key, self._pushed[key] + 1) <= self._pushed[key]:
                await self._let_go(key)

    async def _send(self, result: Result, with_log: set[Key]) -> None:
        key = (result.job_id, result.attempt)
        async with self._bound:
            origin = await self._origins.of(key) or Origin(result.workspace)
            if not await self._is_recorded(key, origin, result):
                return
        if key in with_log and self._pushed.get(key, 0) < result.log_chars:
            self._recorded[key] = result.log_chars
        else:
            await self._let_go(key)

    async def _is_recorded(self, key: Key, origin: Origin, result: Result) -> bool:
        """Whether the cluster has an end of this job now. What it refuses stays in the spool."""
        if (result.canceled_by, result.canceled_reason) == OVER:
            log.info("result.unwanted", job_id=key[0], attempt=key[1])
            return True
        try:
            await self._deliver(origin, result)
        except AnswerLost:
            if await self._dialect.is_mine(key):
                raise
        except Unwanted as error:
            if await self._dialect.is_mine(key):
                log.error("result.refused", job_id=key[0], attempt=key[1], reason=str(error))
                return False
        return True

    async def _deliver(self, origin: Origin, result: Result) -> None:
        """By the name of its parts, when they have gone; whole, when the cluster does not have them all."""
        before, after = around_result(origin.record, origin.token, result)
        if result.blob_sha256 and self._dialect.takes_parts:
            named = before + f'null, "result_sha256": "{result.blob_sha256}"'.encode() + after
            try:
                signature = await signature_of(self._device, result.job_id, _once(named))
                await self._api.send_result(origin.workspace, result.job_id, named, signature)
            except Unwanted as error:
                log.warning("result.goes_whole", job_id=result.job_id, reason=str(error))
            else:
                return
        signature = await signature_of(
            self._device, result.job_id, whole_body(self._holdings, before, result, after)
        )
        whole = whole_body(self._holdings, before, result, after)
        await self._api.send_result(origin.workspace, result.job_id, whole, signature)

    async def _let_go(self, key: Key) -> None:
        self._recorded.pop(key, None)
        self._pushed.pop(key, None)
        self._origins.forget(key)
        await self._tell([Receipt(job_id=key[0], attempt=key[1])])


async def signature_of(device: SigningKey | None, job_id: JobId, body: AsyncIterator[bytes]) -> str:
    """Over the digest of exactly what goes out: the document may be larger than memory."""
    if device is None:
        return ""
    digest = hashlib.sha256()
    async for piece in body:
        digest.update(piece)
    return proofs.result_signature(device.sign, job_id, digest.hexdigest())


async def whole_body(holdings: Holdings, before: bytes, result: Result, after: bytes) -> AsyncIterator[bytes]:
    """A large document is never in memory as a whole."""
    yield before
    async for piece in holdings.document(result):
        yield piece
    yield after


async def _once(body: bytes) -> AsyncIterator[bytes]:
    yield body


def _joined(messages: Sequence[Log]) -> Iterator[tuple[Key, int, str]]:
    """Pieces that follow each other become one; the order within a job stays."""
    pieces: dict[Key, tuple[int, str]] = {}
    for one in messages:
        key = (one.job_id, one.attempt)
        start, text = pieces.get(key, (one.offset, ""))
        if start + len(text) != one.offset:
            yield key, start, text
            start, text = one.offset, ""
        pieces[key] = start, text + one.text
    for key, (start, text) in pieces.items():
        yield key, start, text
