"""Bundles over RabbitMQ: what agents want is answered by their control queues, after everything else."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import structlog

from agent.clock import Clock
from agent.database import ReadFailed, WriteFailed
from agent.wire.bundles import PART_MAX_BYTES
from agent.wire.claims import WorkerName
from agent.wire.messages import Bundle, Message, Needed, Part, Want
from bridge.bundles.service import Bundles, Order

log = structlog.get_logger()

WANTS_MAX: Final = (
    1000  # that wait for an answer; of what is more nothing is heard, and it is asked again (I6)
)
WORKERS: Final = 4  # answers at once: so many parts are in memory
ALLOWED_S: Final = 30.0  # a token that ends, or loses a tag, reads no longer
ALLOWED_MAX: Final = 10_000
WAITING_MAX: Final = 10_000
AGAIN_S: Final = 60.0  # what is being made is told when it is; this is for a bridge that dies meanwhile

Tell = Callable[[WorkerName, Sequence[Message]], Awaitable[None]]


class Supply:
    def __init__(self, bundles: Bundles, clock: Clock) -> None:
        self._bundles = bundles
        self._clock = clock
        self._wants: asyncio.Queue[tuple[WorkerName, Want]] = asyncio.Queue(WANTS_MAX)
        self._allowed: dict[tuple[WorkerName, str], float] = {}  # until when, monotonic
        self._waiting: dict[Order, set[WorkerName]] = {}
        bundles.made = self._made

    def heed(self, worker: WorkerName, want: Want) -> None:
        """Never waits: it stands in the way of pings."""
        if not self._wants.full():
            self._wants.put_nowait((worker, want))

    async def run(self, tell: Tell) -> None:
        """One session with the broker. Raises what `tell` raises."""
        async with asyncio.TaskGroup() as group:
            for number in range(WORKERS):
                group.create_task(self._answer_all(tell), name=f"wants {number}")

    async def _answer_all(self, tell: Tell) -> None:
        while True:
            worker, want = await self._wants.get()
            try:
                answer = await self._answer(worker, want)
            except (WriteFailed, ReadFailed) as error:  # it is asked again
                log.warning("want.not_answered", worker=worker, reason=str(error))
                continue
            if answer is not None:
                await tell(worker, [answer])

    async def _answer(self, worker: WorkerName, want: Want) -> Bundle | Part | Needed | None:
        if not want.bundle:
            return Needed(bundles=await self._bundles.needed(await self._bundles.tags_of(worker)))
        if not await self._may_have(worker, want.bundle):
            log.warning("want.refused", worker=worker, bundle=want.bundle[:80])
            return None
        if want.sha256:
            await self._bundles.note_progress(worker, want)
            bounded = want.size if 0 < want.size <= PART_MAX_BYTES else PART_MAX_BYTES
            part = await self._bundles.part(want, bounded) if want.start >= 0 else b""
            return Part(sha256=want.sha256, start=want.start, part=part)
        return await self._manifest(worker, want)

    async def _manifest(self, worker: WorkerName, want: Want) -> Bundle | None:
        if want.have == want.of > 0:
            await self._bundles.note_progress(worker, want)
            return None
        answer = await self._bundles.said(want.bundle, want.platform)
        await self._bundles.note_progress(worker, want, answer.error)
        if answer.again_s and len(self._waiting) < WAITING_MAX:
            self._waiting.setdefault(Order(want.bundle, want.platform), set()).add(worker)
        return answer

    async def _made(self, order: Order) -> None:
        """Who asked while it was made need not ask again."""
        for worker in self._waiting.pop(order, ()):
            self.heed(worker, Want(bundle=order.bundle, platform=order.platform))

    async def _may_have(self, worker: WorkerName, bundle: str) -> bool:
        now_s = self._clock.monotonic_s()
        if self._allowed.get((worker, bundle), 0.0) > now_s:
            return True
        if not await self._bundles.may_have(bundle, await self._bundles.tags_of(worker)):
            return False
        if len(self._allowed) >= ALLOWED_MAX:
            self._allowed.clear()
        self._allowed[worker, bundle] = now_s + ALLOWED_S
        return True
