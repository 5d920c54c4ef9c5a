"""The users of the cluster: they submit, look at the lists, cancel, and read every record at the end."""

import asyncio
import itertools
from collections.abc import AsyncIterator, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final

import httpx

from tests.chaos.timing import pass_time
from tests.chaos.work import Order
from tests.support.world import PASSWORD

SUBMITTERS: Final = 8
OPEN_MAX: Final = 2_500  # jobs without a result at which nothing more is submitted for a while
PER_PAGE: Final = 1_000
REQUEST_S: Final = 20.0
RETRY_S: Final = 0.2
ANSWER_S: Final = 60.0
SAMPLE_OF: Final = 16  # one job in so many has its result read when it is first seen
COMPARED: Final = (
    "success",
    "started_at",
    "completed_at",
    "duration_ms",
    "mem_peak",
    "worker",
    "canceled_by",
)
IN: Final = "/api/w/main"


@dataclass(frozen=True, slots=True)
class Sight:
    """What was seen of a completed job."""

    of_list: tuple[Any, ...]
    result: str | None = None  # the text, for the jobs of the sample


@dataclass(slots=True)
class Seen:
    submitted: dict[str, Order] = field(default_factory=dict)
    first: dict[str, Sight] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)  # ids whose record was another one later

    @property
    def missing(self) -> set[str]:
        return self.submitted.keys() - self.first.keys()


class Desk:
    """Opened by `open_desk`. What fails while the bridge is away is tried again until it does not."""

    def __init__(self, client: httpx.AsyncClient, seed: int) -> None:
        self._client = client
        self._draw = Random(f"desk {seed}")  # noqa: S311 a seeded choice, no secret
        self.seen: Final = Seen()

    async def login(self) -> None:
        asked = {"email": "admin@orvanta.local", "password": PASSWORD}
        answer = await self._ask("POST", "/api/auth/login", json=asked)
        self._client.headers["Authorization"] = f"Bearer {answer.text}"

    async def answers(self) -> None:
        """Returns when the cluster does."""
        async with asyncio.timeout(ANSWER_S):
            await self._ask("GET", "/api/version")

    async def submit(self, orders: Iterable[Order], per_s: float) -> None:
        """All of them, at a steady rate while the cluster keeps up."""
        waiting = iter(orders)
        began_s = asyncio.get_running_loop().time()
        numbers = itertools.count()
        async with asyncio.TaskGroup() as group:
            for number in range(SUBMITTERS):
                group.create_task(
                    self._submit_some(waiting, numbers, began_s, per_s), name=f"submit {number}"
                )

    async def _submit_some(
        self, waiting: Iterator[Order], numbers: Iterator[int], began_s: float, per_s: float
    ) -> None:
        for order in waiting:
            await pass_time(began_s + next(numbers) / per_s - asyncio.get_running_loop().time())
            while len(self.seen.submitted) - len(self.seen.first) > OPEN_MAX:
                await pass_time(RETRY_S)
            await self._submit_one(order)

    async def _submit_one(self, order: Order) -> None:
        body = {"content": order.code, "language": order.shape.language, "tag": order.tag, "args": {}}
        query = {"job_id": order.job_id, "delivery": order.delivery}
        answer = await self._ask("POST", f"{IN}/jobs/run/preview", json=body, params=query)
        # An answer that was lost with its bridge is asked for again, and then the job is there already.
        assert answer.status_code == 201 or "exists already" in answer.text, answer.text
        self.seen.submitted[order.job_id] = order

    async def look(self, *, everywhere: bool) -> None:
        """Compare every completed job on the lists with its first sight; stop where nothing is new."""
        for page in itertools.count(1):
            query = {"per_page": PER_PAGE, "page": page}
            listed = (await self._ask("GET", f"{IN}/jobs/completed/list", params=query)).json()
            new = [job for job in listed if not self._is_known(job)]
            for job in new:
                result = await self.result(job["id"]) if self._draw.randrange(SAMPLE_OF) == 0 else None
                self.seen.first[job["id"]] = Sight(_of_list(job), result)
            if len(listed) < PER_PAGE or not (new or everywhere):
                return

    def _is_known(self, job: dict[str, Any]) -> bool:
        first = self.seen.first.get(job["id"])
        if first is None:
            return False
        if first.of_list != _of_list(job):
            self.seen.changed.add(job["id"])
        return True

    async def result(self, job_id: str) -> str:
        return (await self._ask("GET", f"{IN}/jobs_u/completed/get_result/{job_id}")).text

    async def record(self, job_id: str) -> dict[str, Any]:
        """The whole job: its end, result and log."""
        answer = await self._ask("GET", f"{IN}/jobs_u/get/{job_id}", params={"no_code": True})
        record: dict[str, Any] = answer.json()
        return record

    async def custody(self) -> list[dict[str, Any]]:
        rows: list[dict[str, Any]] = (await self._ask("GET", "/api/custody")).json()["custody"]
        return rows

    async def cancel_some(self, count: int, why: str) -> None:
        """Any jobs that have no result yet, as far as we have seen."""
        unfinished = [job_id for job_id in self.seen.submitted if job_id not in self.seen.first]
        for job_id in self._draw.sample(unfinished, min(count, len(unfinished))):
            await self._ask("POST", f"{IN}/jobs_u/queue/cancel/{job_id}", json={"reason": why})

    async def _ask(self, method: str, path: str, **about: Any) -> httpx.Response:
        """The answer, once there is one that is not the bridge's own trouble."""
        while True:
            try:
                answer = await self._client.request(method, path, **about)
            except httpx.TransportError:
                await pass_time(RETRY_S)
                continue
            if answer.status_code < 500:
                return answer
            await pass_time(RETRY_S)


def _of_list(job: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(job[name] for name in COMPARED)


@asynccontextmanager
async def open_desk(url: str, seed: int) -> AsyncIterator[Desk]:
    async with httpx.AsyncClient(base_url=url, timeout=REQUEST_S) as client:
        desk = Desk(client, seed)
        await desk.login()
        yield desk
