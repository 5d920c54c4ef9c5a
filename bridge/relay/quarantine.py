"""Results that nobody vouches for: of agents whose token was revoked. An operator decides on each."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final

import structlog

from agent.clock import Clock
from agent.database import WriteFailed
from agent.wire import quarantine
from agent.wire.claims import TokenId, WorkerName
from agent.wire.envelope import pack, unpack
from agent.wire.messages import Result
from bridge.errors import BadRequest, ClusterDown, NotFound
from bridge.relay.assembling import Assembly
from bridge.relay.ledger import Ledger
from bridge.relay.recorder import Recorder
from bridge.relay.shelf import Kept, Link, Wish

log = structlog.get_logger()

LOOK_EVERY_S: Final = 1.0  # how long an operator at a command line waits at most
PRUNE_EVERY_S: Final = 3600.0
OPERATOR: Final = "the command line"

IsRevoked = Callable[[TokenId], Awaitable[bool]]
# Of a job that was handed out over HTTP, and so never was in the ledger. False: it has ended.
AtCluster = Callable[[Result, bytes], Awaitable[bool]]


async def no_cluster(_result: Result, _document: bytes) -> bool:
    """Of a bridge that only relays: every job that it handed out is in the ledger."""
    return False


class Quarantine:
    def __init__(
        self,
        ledger: Ledger,
        recorder: Recorder,
        is_revoked: IsRevoked,
        at_cluster: AtCluster = no_cluster,
    ) -> None:
        self._ledger = ledger
        self._shelf = ledger.shelf
        self._recorder = recorder
        self._at_cluster = at_cluster
        self.is_revoked = is_revoked

    async def keep(self, worker: WorkerName, result: Result, assembly: Assembly) -> None:
        """Durable on return; with its document, unless its parts never came."""
        try:
            document = await assembly.document_of(result)
        except TimeoutError:
            document = None
        kept = Kept(result.job_id, result.attempt, worker)
        await self._shelf.keep(kept, pack([result]), document)
        log.warning("result.quarantined", job_id=kept.job_id, attempt=kept.attempt, worker=worker)

    async def listed(self) -> list[dict[str, Any]]:
        """What is kept, decided or not, the newest first; without the documents."""
        return await self._shelf.listed()

    async def document(self, kept: Kept) -> bytes:
        """Raises `NotFound`."""
        return (await self._undecided(kept))[1]

    async def accept(self, kept: Kept, by: str) -> None:
        """Record it as the job's result.

        Raises `NotFound`, `ClusterDown`; `BadRequest` when the job has ended: a recorded result stays (I1).
        """
        result, document, link = await self._undecided(kept)
        if not await self._record(kept, result, document, link):
            raise BadRequest(
                f"job {kept.job_id} has ended and keeps its recorded result; this one can be read or rejected"
            )
        await self._decided(kept, quarantine.ACCEPTED, by)

    async def reject(self, kept: Kept, by: str) -> None:
        """Its document goes. Raises `NotFound`."""
        await self._undecided(kept)
        await self._decided(kept, quarantine.REJECTED, by)

    async def run(self, clock: Clock) -> None:
        """For ever: carry out what operators asked for on the command line, and forget what is old (I6)."""
        pruned_s = clock.monotonic_s() - PRUNE_EVERY_S
        while True:
            try:
                await self.carry_out()
                if clock.monotonic_s() - pruned_s >= PRUNE_EVERY_S:
                    await self._shelf.prune()
                    pruned_s = clock.monotonic_s()
            except WriteFailed as error:
                log.warning("quarantine.waits", reason=str(error))
            await asyncio.sleep(LOOK_EVERY_S)

    async def carry_out(self) -> None:
        """What cannot be done is answered with its reason; what waits for the cluster is tried again."""
        for kept, wish in await self._shelf.wishes():
            try:
                await (self.accept if wish is Wish.ACCEPT else self.reject)(kept, OPERATOR)
            except (BadRequest, NotFound) as error:
                await self._shelf.refuse(kept, str(error))
            except ClusterDown as error:
                log.warning("quarantine.waits", job_id=kept.job_id, reason=str(error))

    async def _record(self, kept: Kept, result: Result, document: bytes, link: Link) -> bool:
        """False: the job has ended."""
        if link is Link.HTTP and not await self._ledger.had(kept.job_id, kept.worker, kept.attempt):
            return await self._at_cluster(result, document)
        return await self._recorder.record(result, document) is not None

    async def _decided(self, kept: Kept, decision: str, by: str) -> None:
        await self._shelf.decide(kept, decision, by)
        log.info("result.decided", job_id=kept.job_id, attempt=kept.attempt, decision=decision, by=by)

    async def _undecided(self, kept: Kept) -> tuple[Result, bytes, Link]:
        row = await self._shelf.undecided(kept)
        if row is None or row["document"] is None:
            raise NotFound(
                f"no result of {kept.job_id} by {kept.worker} waits in quarantine with its document"
            )
        (result,) = unpack(row["result"])
        assert isinstance(result, Result)  # noqa: S101 `keep` packed it
        return result, row["document"], Link(row["link"])
