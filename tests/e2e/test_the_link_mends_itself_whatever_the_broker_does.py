"""Whatever ends the link, it comes back by itself within a bound; what is held runs on, and nothing twice."""

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import pytest_asyncio

from agent.wire.claims import Tag, WorkerName
from agent.wire.routing import control_queue, job_queue
from dev_tools.brokers.broker import Broker
from tests.support.places import Place, Places, Work, opened_places, reasons
from tests.support.until import until

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]

BACK_S: Final = 45.0  # gaps of 30 s at most, and the handshakes
FOUND_S: Final = 40.0
TAG: Final = "mend"


@dataclass(frozen=True)
class Site:
    places: Places
    place: Place


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def site(tmp_path_factory: pytest.TempPathFactory, broker: Broker) -> AsyncIterator[Site]:
    """One site for all: each fault is mended when its test ends."""
    async with opened_places(tmp_path_factory.mktemp("mend"), broker) as places:
        place = places.place(TAG)
        await place.agent.start()
        yield Site(places, place)


async def delete_tag_queue(site: Site) -> None:
    site.places.management.delete_queue(job_queue(Tag(TAG)))


async def delete_control_queue(site: Site) -> None:
    worker = WorkerName(site.place.agent.status()["worker"])
    site.places.management.delete_queue(control_queue(worker))


async def close_channels(site: Site) -> None:
    site.place.amqp_link.acknowledge_nonsense()


async def close_connections(site: Site) -> None:
    await site.places.management.close_connections(site.place.agent)


async def refuse_logins(site: Site) -> None:
    site.places.refuse_logins()
    await site.places.management.close_connections(site.place.agent)


async def allow_logins(site: Site) -> None:
    await until(lambda: "ACCESS_REFUSED" in reasons(site.place.agent, "link.retry"), within_s=FOUND_S)
    site.places.allow_logins()


async def lose_amqp(site: Site) -> None:
    site.place.amqp_link.cut()


async def amqp_returns(site: Site) -> None:
    site.place.amqp_link.restore()


async def lose_http_and_the_session(site: Site) -> None:
    site.place.http_link.cut()
    await site.places.management.close_connections(site.place.agent)


async def nothing(site: Site) -> None:
    """The link mends itself."""


Act = Callable[[Site], Awaitable[None]]
FAULTS: Final[dict[str, tuple[Act, Act]]] = {
    "its control queue is deleted": (delete_control_queue, nothing),
    "the broker closes its channels": (close_channels, nothing),
    "the broker closes its connections": (close_connections, nothing),
    "the broker cannot ask the bridge whom to let in": (refuse_logins, allow_logins),
    "AMQP is away and HTTP is there": (lose_amqp, amqp_returns),
    "HTTP is away and AMQP is there": (lose_http_and_the_session, nothing),
}


async def _mends_itself(site: Site, folder: Path, break_link: Act, mend: Act) -> None:
    agent, work = site.place.agent, Work(site.places, folder, TAG)
    await work.hold()
    ups, downs = agent.links("up"), agent.links("down")
    await break_link(site)
    await until(lambda: agent.links("down") > downs, within_s=FOUND_S)
    work.open_gate()
    await until(lambda: work.ran() == ["running", "waiting"], within_s=FOUND_S)
    await mend(site)
    await until(lambda: agent.links("up") > ups, within_s=BACK_S)
    work.submit("later")
    await work.recorded_once(["running", "waiting", "later"], within_s=BACK_S)


@pytest.mark.parametrize("fault", FAULTS)
async def test_the_link_comes_back(site: Site, tmp_path: Path, fault: str) -> None:
    await _mends_itself(site, tmp_path, *FAULTS[fault])
    site.place.http_link.restore()


async def test_a_cancelled_consumer_is_opened_again(site: Site, tmp_path: Path) -> None:
    """aio-pika #334: the queue is deleted, the broker cancels the consumer, nobody consumes again."""
    await _mends_itself(site, tmp_path, delete_tag_queue, nothing)
    management = site.places.management

    async def has_one() -> bool:
        return await management.consumers(job_queue(Tag(TAG))) == 1

    await until(has_one, within_s=FOUND_S)


async def test_what_waited_in_a_deleted_queue_goes_out_again(site: Site, tmp_path: Path) -> None:
    place, work = site.places.place("gone", ahead=1), Work(site.places, tmp_path, "gone")
    await place.agent.start()
    await work.hold()
    waits_at_broker = work.submit("queued", gated=True)  # more than the site may hold
    cluster = site.places.cluster
    await until(
        lambda: any(row["published_at"] for row in cluster.attempts(waits_at_broker)), within_s=FOUND_S
    )
    site.places.management.delete_queue(job_queue(Tag("gone")))
    work.open_gate()
    await work.recorded_once(["running", "waiting", "queued"], within_s=BACK_S)
    assert [one["jobs"] for one in site.places.world.bridge.events("queue.gone")] == [1]


async def test_a_link_that_is_lost_for_seconds_runs_no_job_twice(site: Site, tmp_path: Path) -> None:
    """Celery #6951: what runs when the connection is lost runs again, once for each loss."""
    agent, work = site.place.agent, Work(site.places, tmp_path, TAG)
    await work.hold()
    for _ in range(4):
        ups = agent.links("up")
        site.place.amqp_link.cut()
        site.place.amqp_link.restore()
        await until(lambda ups=ups: agent.links("up") > ups, within_s=BACK_S)
    work.open_gate()
    await work.recorded_once(["running", "waiting"], within_s=BACK_S)
