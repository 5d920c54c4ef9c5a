"""Hops 1 and 2: from the cluster into the ledger, and from the ledger to the broker."""

import asyncio
import json
from dataclasses import replace
from typing import Final

import structlog

from agent.cancelling import apart
from agent.clock import Clock
from agent.wire.claims import Tag
from agent.wire.envelope import pack, unpack
from agent.wire.errors import WireError
from agent.wire.messages import Job
from bridge.broker.channel import Broker
from bridge.errors import ClusterDown
from bridge.metrics.figures import PULL_S
from bridge.relay.aging import aged
from bridge.relay.directing import Director
from bridge.relay.ledger import Key, Ledger
from bridge.relay.pacing import room_in
from bridge.relay.policy import Policies
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.source import Pulled, Source
from bridge.relay.telling import Teller

log = structlog.get_logger()

PULLERS: Final = 8  # pulls at once, so that their ledger rows share an fsync
CLUSTER_RETRY_S: Final = 5.0
UNPUBLISHED_MAX: Final = 1000


class Dispatcher:
    """One life of the broker session: publishes what was left, then pulls while there is room."""

    def __init__(
        self,
        source: Source,
        ledger: Ledger,
        broker: Broker,
        signer: Signer,
        clock: Clock,
        policies: Policies,
        recorder: Recorder,
        *,
        ready_max: int,
    ) -> None:
        self._source = source
        self._ledger = ledger
        self._broker = broker
        self._signer = signer
        self._clock = clock
        self._policies = policies
        self._recorder = recorder
        self._ready_max = ready_max
        self._director = Director(ledger, Teller(broker, signer), clock)

    async def run(self) -> None:
        while True:
            self._ledger.room.clear()
            pulled = 0
            try:
                pulled = await apart(self._round())
            except* ClusterDown as group:
                log.warning("cluster.down", reason=str(group.exceptions[0]))
                await asyncio.sleep(CLUSTER_RETRY_S)
            if not pulled:
                await self._wait()

    async def _publish_left(self) -> None:
        """What an earlier session left unpublished, and new attempts of lost jobs."""
        while left := await self._ledger.unpublished(UNPUBLISHED_MAX):
            for key, workspace, tag, body in left:
                (job,) = unpack(body) if body else (None,)
                if isinstance(job, Job):
                    older = await aged(self._ledger, job, self._clock.wall_s())
                    body = body if older is job else pack([older])  # noqa: PLW2901 what the ledger has
                    await self._publish(key, workspace, tag, body, job.language)
                else:
                    await self._publish(key, workspace, tag, body, "")

    async def _round(self) -> int:
        """What is left goes out, then one look at every lane. Returns how many jobs came."""
        await self._publish_left()
        held, abilities = await self._send_held(), await self._ledger.abilities()
        waiting = await self._ledger.waiting()
        pulled = 0
        for lane in self._source.lanes(abilities.tags):
            room = room_in(lane, waiting, self._ready_max)
            if room:
                pulled += await self._pull_lane(lane, room, abilities.wanted(lane, held))
        return pulled

    async def _send_held(self) -> dict[tuple[Tag, str], int]:
        """What waits for an agent that runs its language; how much there was."""
        counts = await self._ledger.held_back.counts()
        abilities = await self._ledger.abilities()
        for tag, language in counts:
            if self._source.keeps_languages_back or abilities.is_run(tag, language):
                await self._director.send(tag, language)
            else:
                await self._fail_held(tag, language)
        return counts

    async def _fail_held(self, tag: Tag, language: str) -> None:
        """A cluster that hands out whatever it has is told at once that nobody can run it."""
        for held in await self._ledger.held_back.oldest(tag, language, UNPUBLISHED_MAX):
            mend = "rewrite the script, or give the job the tag of a worker that runs it"
            message = f"no agent of tag {tag} runs the language {language!r}; {mend}"
            await self._fail(held.key, "UnknownLanguage", message)

    async def _pull_lane(self, lane: frozenset[Tag], room: int, languages: frozenset[str]) -> int:
        """One asks first, so that an empty lane costs one call; many take what a full one has."""
        first = await self._pull(lane, languages)
        if first is None:
            return 0
        taken = 1
        empty = False

        async def pull_some() -> None:
            nonlocal taken, empty
            while not empty and taken < room:
                taken += 1
                pulled = await self._pull(lane, languages)
                if pulled is None:
                    taken -= 1
                    empty = True
                    return
                await self._take(pulled)

        async with asyncio.TaskGroup() as group:
            group.create_task(self._take(first), name="take")
            for _ in range(min(PULLERS, room) - 1):
                group.create_task(pull_some(), name="pull")
        return taken

    async def _pull(self, lane: frozenset[Tag], languages: frozenset[str]) -> Pulled | None:
        with PULL_S.time():
            return await self._source.pull(lane, languages)

    async def _take(self, pulled: Pulled) -> None:
        pulled = self._as_its_tag_demands(pulled)
        attempt = await self._ledger.next_attempt(pulled.job_id)
        if attempt is None:
            log.info("job.out_already", job_id=pulled.job_id)
            return  # the cluster lost sight of it while we were away; we still answer for it
        key = (pulled.job_id, attempt)
        body = b""
        try:
            body = pack([pulled.as_job(attempt, self._clock.wall_s())])
        except WireError as error:
            log.error("job.unsendable", job_id=pulled.job_id, reason=str(error))
        await self._ledger.take(pulled.as_custody(attempt), body)
        log.info("job.taken", job_id=pulled.job_id, attempt=attempt, tag=pulled.tag)
        await self._publish(key, pulled.workspace, pulled.tag, body, pulled.language)

    def _as_its_tag_demands(self, pulled: Pulled) -> Pulled:
        delivery = self._policies.delivery(pulled.tag, pulled.delivery)
        known = json.loads(pulled.job_json) | {"delivery": delivery}
        return replace(pulled, delivery=delivery, job_json=json.dumps(known))

    async def _publish(self, key: Key, workspace: str, tag: Tag, body: bytes, language: str) -> None:
        """To whoever of its tag comes first. A language that not all of them run waits for one that does."""
        if not body:
            too_large = "the job is over 16 MiB with its code and arguments; pass large data by reference"
            await self._fail(key, "Unsendable", too_large)
            return
        if not (await self._ledger.abilities()).is_run_by_all(tag, language):
            await self._ledger.held_back.hold(key, language)
            return
        try:
            await self._broker.ensure_tag(tag)
            await self._broker.publish_job(workspace, tag, self._signer.seal(body))
        except WireError as error:
            await self._fail(key, "Unsendable", str(error))
        else:
            await self._ledger.published(key)

    async def _fail(self, key: Key, name: str, reason: str) -> None:
        """A job that cannot travel is closed with an error that says why."""
        custody = await self._ledger.find(key)
        assert custody is not None  # noqa: S101 its row was taken, or has just been read
        error = {"name": name, "message": reason}
        await self._recorder.end_unrun(custody, error)

    async def _wait(self) -> None:
        """Until a job may have come or room may have opened."""
        came = asyncio.ensure_future(self._source.wait(self._source.idle_s))
        room = asyncio.ensure_future(self._ledger.room.wait())
        try:
            done, _ = await asyncio.wait((came, room), return_when=asyncio.FIRST_COMPLETED)
            for one in done:
                one.result()
        finally:
            came.cancel()
            room.cancel()
