"""Thousands of agents in one process, each with its own name, speaking the real protocols cheaply.

    python -m bench.support.crowd WAY URL SIZE    (WAY: http, amqp or polling; the first line: token and tags)

When all have joined, `{"joined": SIZE}` is said. Each further line is answered by the jobs that have come
since, `{"jobs": {id: monotonic seconds}, "failures": N}`. They end at once, and their results go home.
"""

import asyncio
import json
import logging
import random
import sys
import time
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final
from urllib.parse import urlsplit

from agent.compression import decompress
from agent.errors import LinkDown
from agent.jobs.wishes import PING_EVERY_S
from agent.link.amqp import connect
from agent.link.enrol import from_json
from agent.link.http.edge import PULL_S
from agent.link.http.plain import PING_S, POLL_S
from agent.link.http.pull_keys import PullKeys
from agent.link.link import Enrolment, Link
from agent.logs import Secret, configure
from agent.wire.agent_api import around_result, worker_ping
from agent.wire.claims import JobId, Tag, WorkerName
from agent.wire.envelope import unpack, unseal
from agent.wire.messages import Accepted, Hello, Job, Ping, Result
from agent.wire.repeatable import FIRST, REQUEST_ID
from agent.wire.tokens import bearer_of
from bench.support.kept import ConnectionLost, Kept

ALL: Final = "/api/agent_workers"
JOINING_AT_ONCE: Final = 32
MIN_VERSION_EVERY_S: Final = 30.0  # agent-api.md 2.1, row 12
HOSTNAME: Final = "crowd"
BACKOFF_S: Final = 10.0
DRAW: Final = random.Random(1)  # noqa: S311 machines do not tick together; the same in each run


class Came:
    """What has come to the crowd since somebody looked."""

    def __init__(self) -> None:
        self._jobs: dict[str, float] = {}
        self.failures = 0

    def note(self, job_id: str) -> None:
        self._jobs[job_id] = time.monotonic()

    def taken(self) -> dict[str, Any]:
        jobs, self._jobs = self._jobs, {}
        return {"jobs": jobs, "failures": self.failures}


class HttpAgent:
    """What both ways over HTTP have in common; `run` is the idle loop of one of them."""

    def __init__(self, url: str, token: str, number: int, tags: list[str], came: Came) -> None:
        host, port = urlsplit(url).hostname or "", urlsplit(url).port or 80
        self.name: Final = f"c{number:05d}"
        self._bearer: Final = Secret(bearer_of(token, self.name))
        self._api: Final = Kept(host, port, self._bearer.reveal())
        self._tags = tags
        self._came = came

    async def enrol(self) -> dict[str, Any]:
        about = {"version": "0.1.0", "slots": 1, "wall_s": time.time()}
        enrolment: dict[str, Any] = await self._api.post(f"{ALL}/enroll", about)
        return enrolment

    async def _announce(self, ping_type: str) -> None:
        await self._api.post(f"{ALL}/update_ping", worker_ping(ping_type, HOSTNAME, self._tags))

    async def _finish(self, pulled: dict[str, Any]) -> None:
        job = pulled["job"]
        self._came.note(job["id"])
        result = Result(job_id=job["id"], attempt=job["attempt"], workspace=job["workspace_id"], success=True)
        before, after = around_result(job, pulled["token"], result)
        body = json.loads(before + b"null" + after)
        await self._api.post(f"/api/w/{job['workspace_id']}/agent_workers/send_result/{job['id']}", body)

    async def run(self) -> None:
        """For ever; a connection that the server closed is opened again."""
        while True:
            try:
                await self.turn()
            except ConnectionLost:
                self._came.failures += 1
            except (ConnectionError, LinkDown) as error:
                if not self._came.failures:
                    print(self.name, error, file=sys.stderr)
                self._came.failures += 1
                await asyncio.sleep(DRAW.random() * BACKOFF_S)

    async def turn(self) -> None:
        raise NotImplementedError


class LongPoller(HttpAgent):
    """As `agent.link.http.edge`: enrolled, and one pull that waits."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._keys = PullKeys()

    async def join(self) -> None:
        await self.enrol()
        await self._announce("Initial")
        await self._api.post(f"{ALL}/held_jobs", {"jobs": [], "all": True, "asking": self._keys.names()})

    async def turn(self) -> None:
        is_first, key = not self._keys.any_unanswered, self._keys.next()
        headers = {REQUEST_ID: key, "Prefer": f"wait={PULL_S:.0f}"} | ({FIRST: "1"} if is_first else {})
        try:
            pulled = await self._api.post(f"{ALL}/pull_job", None, headers)
        except ConnectionError:
            self._keys.unanswered(key)
            raise
        self._keys.use_up(key)
        if pulled is not None:
            await self._finish(pulled)


class Poller(HttpAgent):
    """As the original's agent: a pull each second, a ping when 5 s have passed (agent-api.md 2.1, 2.2)."""

    def __init__(self, *about: Any) -> None:
        super().__init__(*about)
        self._pinged_s = self._versioned_s = 0.0

    async def join(self) -> None:
        await self._announce("Initial")
        self._pinged_s = self._versioned_s = time.monotonic() - DRAW.random() * PING_S

    async def run(self) -> None:
        await asyncio.sleep(DRAW.random() * POLL_S)  # machines do not tick together
        await super().run()

    async def turn(self) -> None:
        now_s = time.monotonic()
        if now_s - self._pinged_s > PING_S:
            self._pinged_s = now_s
            await self._announce("MainLoop")
        if now_s - self._versioned_s > MIN_VERSION_EVERY_S:
            self._versioned_s = now_s
            await self._api.get(f"{ALL}/get_min_version")
        pulled = await self._api.post(f"{ALL}/pull_job", None)
        if pulled is None:
            await asyncio.sleep(POLL_S)
        else:
            await self._finish(pulled)


class AmqpAgent(HttpAgent):
    """Enrolled over HTTP; the real link over RabbitMQ, with its canaries and its pings."""

    _life: AsyncExitStack | None = None

    async def join(self) -> None:
        self._enrolment: Enrolment = from_json(json.dumps(await self.enrol()))
        self._api.close()
        async with AsyncExitStack() as life:
            self._link: Link = await life.enter_async_context(connect(self._enrolment, self._bearer))
            await self._link.publish("event", [self._hello()])
            for tag in self._enrolment.tags:
                await self._link.open_tag(Tag(tag), 1)
            self._life = life.pop_all()

    async def turn(self) -> None:
        """One life of the link."""
        if self._life is None:
            await self.join()
        assert self._life is not None
        async with self._life:
            self._life = None
            try:
                async with asyncio.TaskGroup() as group:
                    for work in (self._link.lost, self._ping, self._work, self._obey):
                        group.create_task(work())
            except* LinkDown as errors:
                raise LinkDown(str(errors.exceptions[0])) from errors

    def _hello(self) -> Hello:
        return Hello(
            worker=WorkerName(self._enrolment.worker), version="0.1.0", slots=1, held=0, backlog=0,
            wall_s=time.time(), tags=list(self._enrolment.tags), hostname=HOSTNAME, restarted=True,
        )  # fmt: skip

    async def _ping(self) -> None:
        await asyncio.sleep(DRAW.random() * PING_EVERY_S)
        while True:
            await self._link.publish("ping", [Ping(held=0, running=0, backlog=0, wall_s=time.time())])
            await asyncio.sleep(PING_EVERY_S)

    async def _work(self) -> None:
        while True:
            delivery = await self._link.next_job()
            (job,) = unpack(unseal(delivery.body, delivery.content_encoding, decompress))
            assert isinstance(job, Job)
            self._came.note(job.job_id)
            await delivery.ack()
            key: dict[str, Any] = {"job_id": JobId(job.job_id), "attempt": job.attempt}
            await self._link.publish("event", [Accepted(**key)])
            result = Result(**key, workspace=job.workspace, success=True, document=b"null")
            await self._link.publish("result", [result])

    async def _obey(self) -> None:
        """Receipts: there is nothing here that they let go."""
        while True:
            await (await self._link.next_control()).ack()


WAYS: Final[dict[str, Callable[..., Any]]] = {"http": LongPoller, "amqp": AmqpAgent, "polling": Poller}


async def main(way: str, url: str, size: int) -> None:
    configure(level=logging.CRITICAL)
    token, tags = json.loads(await _line())
    came = Came()
    agents = [WAYS[way](url, token, number, tags, came) for number in range(size)]
    await _at_most(JOINING_AT_ONCE, [agent.join for agent in agents])
    async with asyncio.TaskGroup() as group:
        running = [group.create_task(agent.run(), name=agent.name) for agent in agents]
        print(json.dumps({"joined": size}), flush=True)
        while await _line():
            print(json.dumps(came.taken()), flush=True)
        for task in running:
            task.cancel()


async def _at_most(many: int, calls: list[Callable[[], Awaitable[None]]]) -> None:
    bound = asyncio.Semaphore(many)

    async def one(call: Callable[[], Awaitable[None]]) -> None:
        async with bound:
            await call()

    async with asyncio.TaskGroup() as group:
        for call in calls:
            group.create_task(one(call))


async def _line() -> str:
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()


if __name__ == "__main__":
    import uvloop

    uvloop.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
