"""Connected is not enough: a link that moves nothing is found out and built anew, with no word from TCP."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Final

import pytest
import pytest_asyncio

from agent.wire.claims import Tag
from agent.wire.routing import job_queue
from dev_tools.brokers.broker import Broker
from dev_tools.proxy import Cut
from tests.support.amqp_proxy import Swallowed
from tests.support.places import Place, Work, opened_places, reasons
from tests.support.until import until

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]

FOUND_S: Final = 90.0  # two counts 30 s apart; a canary every 20 s, 30 s for its confirm, 15 s for its way
BACK_S: Final = 45.0

TROUBLES: Final[dict[str, Callable[[Place], None]]] = {
    "deaf": lambda place: place.amqp_link.swallow(Swallowed.DELIVERIES),
    "unconfirmed": lambda place: place.amqp_link.swallow(Swallowed.CONFIRMS),
    "halfopen": lambda place: place.amqp_link.cut(Cut.STALL),
    "consumerless": lambda place: place.amqp_link.cancel_consumer(job_queue(Tag("consumerless"))),
    "beatless": lambda place: place.amqp_link.swallow(Swallowed.HEARTBEATS),
}


@dataclass(frozen=True)
class Struck:
    """A site in trouble, with a job that runs, one that waits, and one that came after the trouble began."""

    place: Place
    work: Work


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def struck(
    tmp_path_factory: pytest.TempPathFactory, broker: Broker
) -> AsyncIterator[dict[str, Struck]]:
    """Each trouble befalls a site of its own, all at once, because finding out takes its time."""
    folder = tmp_path_factory.mktemp("silent")
    async with opened_places(folder, broker) as places:
        sites = {tag: Struck(places.place(tag), Work(places, folder, tag)) for tag in TROUBLES}
        for site in sites.values():
            site.place.agent.launch()
        for tag, site in sites.items():
            await site.place.agent.linked()
            await site.work.hold()
            TROUBLES[tag](site.place)
            site.work.submit("late")
        yield sites


async def _found_and_mended(site: Struck, why: str) -> None:
    await until(lambda: why in reasons(site.place.agent, "link.down"), within_s=FOUND_S)
    await _works_on(site)


async def _works_on(site: Struck) -> None:
    site.work.open_gate()
    await site.work.recorded_once(["running", "waiting", "late"], within_s=BACK_S)


async def test_no_link_is_up_and_delivers_nothing(struck: dict[str, Struck]) -> None:
    """aio-pika #231: after a reconnect all looks well, and nothing is delivered any more."""
    await _found_and_mended(struck["deaf"], "connected but not consuming")


async def test_no_link_is_up_and_without_a_tags_consumer(struck: dict[str, Struck]) -> None:
    """aio-pika #231: connected, and the broker counts zero consumers."""
    await _found_and_mended(struck["consumerless"], "the broker counts no consumer of consumerless")


async def test_no_publish_hangs_for_ever(struck: dict[str, Struck]) -> None:
    """aio-pika #636: a publish waits for a confirm that does not come, until somebody reconnects."""
    await _found_and_mended(struck["unconfirmed"], "no confirm came")


async def test_a_half_open_connection_is_given_up(struck: dict[str, Struck]) -> None:
    """Bytes vanish and the socket stays: the job that was held runs meanwhile."""
    site = struck["halfopen"]
    site.work.open_gate()
    await until(lambda: site.work.ran() == ["running", "waiting"], within_s=BACK_S)
    await until(lambda: site.place.agent.links("down"), within_s=FOUND_S)
    site.place.amqp_link.restore()
    await _works_on(site)


async def test_lost_heartbeats_cost_no_job(struck: dict[str, Struck]) -> None:
    """Whether the broker still hears enough of us or hangs up: the work goes on."""
    await _works_on(struck["beatless"])
