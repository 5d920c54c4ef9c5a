"""Jobs of a language that not all agents of their tag run: each is sent to one that does, to it alone.

It goes by that agent's own control queue, whose back pressure is a window: so many jobs that were sent to one
agent are not over yet. Until there is a place, or an agent that runs the language, the job waits in the
ledger, where everybody can see it (I1, I6).
"""

from typing import Final

import structlog

from agent.clock import Clock
from agent.wire.claims import Tag, WorkerName
from agent.wire.envelope import unpack
from agent.wire.messages import Job
from bridge.relay.aging import aged
from bridge.relay.held_back import Held
from bridge.relay.ledger import Ledger
from bridge.relay.telling import Teller

log = structlog.get_logger()

WINDOW: Final = 20  # jobs sent to one agent alone that are not over


class Director:
    def __init__(self, ledger: Ledger, teller: Teller, clock: Clock) -> None:
        self._ledger = ledger
        self._held_back = ledger.held_back
        self._clock = clock
        self._teller = teller

    async def send(self, tag: Tag, language: str) -> None:
        """All that can be sent now. Raises `BrokerDown`; what was not noted as sent is sent again."""
        for held in await self._held_back.oldest(tag, language, WINDOW):
            worker = await self._choose(held)
            if worker is None:
                return
            (job,) = unpack(held.body)
            assert isinstance(job, Job)  # noqa: S101 it was packed here
            await self._teller.tell(worker, [await aged(self._ledger, job, self._clock.wall_s())])
            await self._held_back.directed(held.key, worker)
            log.info("job.directed", job_id=job.job_id, attempt=job.attempt, worker=worker, language=language)

    async def _choose(self, held: Held) -> WorkerName | None:
        """Whoever it was sent to before, if it is there and has a place; else the idlest that is there."""
        able = await self._held_back.who_runs(held.tag, held.language, WINDOW)
        return held.sent_before if held.sent_before in able else next(iter(able), None)
