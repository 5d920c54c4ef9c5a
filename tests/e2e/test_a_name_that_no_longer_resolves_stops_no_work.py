"""DNS is gone: the resolver never answers. Jobs start and end as ever, and the link returns with the name."""

import os
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from dev_tools.brokers.broker import Broker
from tests.support.places import Work, opened_places
from tests.support.until import until

pytestmark = pytest.mark.broker

NAME: Final = "cluster.site"
NAMESERVER: Final = "127.53.53.53"
TAG: Final = "names"
FOUND_S: Final = 20.0
AT_ONCE_S: Final = 8.0  # one question to a resolver that is silent takes 10 s
BACK_S: Final = 60.0


@pytest.fixture
def silent_nameserver() -> Iterator[None]:
    """It takes every question and answers none."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare, to give the agent a resolver of its own")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as listening:
        listening.bind((NAMESERVER, 53))
        yield


@pytest.mark.usefixtures("silent_nameserver")
async def test_a_silent_resolver_stops_no_work(broker: Broker, tmp_path: Path) -> None:
    hosts, resolver = tmp_path / "hosts", tmp_path / "resolv.conf"
    resolver.write_text(f"nameserver {NAMESERVER}\n")
    mounts = f"mount --bind {hosts} /etc/hosts && mount --bind {resolver} /etc/resolv.conf"
    async with opened_places(tmp_path, broker) as places:
        place, work = places.place(TAG, name=NAME), Work(places, tmp_path, TAG)
        known = f"{places.address_of(place)} {NAME}\n"
        hosts.write_text(known)
        place.agent.run_inside("unshare", "--mount", "sh", "-c", f'{mounts} && exec "$@"', "sh")
        await place.agent.start()
        await work.hold()
        hosts.write_text("")
        await places.management.close_connections(place.agent)
        await until(lambda: place.agent.links("down"), within_s=FOUND_S)
        work.open_gate()
        await until(lambda: work.ran() == ["running", "waiting"], within_s=AT_ONCE_S)
        await until(lambda: place.agent.events("enrolment.from_cache"), within_s=FOUND_S)
        assert places.cluster.completed() == []
        hosts.write_text(known)
        await work.recorded_once(["running", "waiting"], within_s=BACK_S)
