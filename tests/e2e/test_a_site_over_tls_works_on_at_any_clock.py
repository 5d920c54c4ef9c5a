"""Cluster, relay, RabbitMQ and site over TLS alone; a site that cannot connect says why, and works on."""

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from agent import status
from agent.tls.outbound import Outbound
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from tests.support.faked_clock import FakedClock, needs_faketime
from tests.support.until import until
from tests.support.world import PASSWORD, RECONNECT_S, Agent, Bridge, Cluster

pytestmark = [pytest.mark.broker, needs_faketime]

CALLS_HOME = """
import os, shutil, subprocess, httpx

def main():
    url = os.environ["WM_BASE_URL"] + "/api/version"
    by_curl = subprocess.run(["curl", "-sS", "-o", "/dev/null", url]) if shutil.which("curl") else None
    return [httpx.get(url).is_server_error, by_curl.returncode if by_curl else 0]
"""
HELD = {"started": 1, "ready": 1}


@dataclass(frozen=True, slots=True)
class Secured:
    cluster: Cluster
    site: Agent
    clock: FakedClock


@pytest.fixture
async def secured(broker: Broker, tmp_path: Path) -> AsyncIterator[Secured]:
    """The relay knows the cluster over HTTPS alone, the site the relay; both know RabbitMQ over AMQPS."""
    if broker.ca is None or broker.tls_url is None:
        pytest.skip("the RabbitMQ of AMQP_URL has no certificate that we know")
    password = tmp_path / "password"
    password.write_text(PASSWORD)
    with ExitStack() as close:
        vhost = urlsplit(close.enter_context(fresh_vhost(broker))).path
        amqps = urlsplit(broker.tls_url)._replace(path=vhost)
        serving = Bridge(tmp_path / "cluster", "serve", "", {"ADMIN_PASSWORD_FILE": str(password)}, broker.ca)
        close.callback(serving.close)
        await serving.start()
        cluster = Cluster(serving.url, Outbound(ca_file=broker.ca.file))
        close.callback(cluster.close)
        cluster.login()
        upstream = {"AGENT_TOKEN": cluster.token("python", "bash"), "BASE_INTERNAL_URL": serving.url}
        relay = Bridge(tmp_path / "relay", "relay", amqps.geturl(), upstream, broker.ca)
        close.callback(relay.close)
        await relay.start()
        clock = FakedClock(tmp_path)
        settings = clock.settings | {
            "AGENT_TOKEN": cluster.token("python", "bash"),
            "BASE_INTERNAL_URL": relay.url,
            "CA_FILE": str(broker.ca.file),
        }
        site = Agent(tmp_path / "site", settings, ["--slots", "1"])
        close.callback(site.close)
        await site.start()
        yield Secured(cluster, site, clock)


async def test_a_job_makes_the_round_trip_and_a_clock_of_1970_stops_only_the_link(
    secured: Secured, tmp_path: Path
) -> None:
    cluster, site = secured.cluster, secured.site
    called = await cluster.done(cluster.submit(CALLS_HOME, "python", "python3"))
    assert called["result"] == [False, 0], called  # its own HTTP clients believe the relay too
    assert not site.events("link.in_clear")
    gate = tmp_path / "gate"
    first = cluster.submit(f"until [ -e {gate} ]; do sleep 0.1; done; echo first", "bash")
    behind = cluster.submit("echo behind", "bash")
    await until(lambda: status.read(site.spool)["custody"].items() >= HELD.items(), within_s=30)
    site.kill()
    secured.clock.at_1970()
    gate.touch()
    site.launch()
    await until(lambda: status.read(site.spool)["backlog"] == 2, within_s=60)
    reason = await until(lambda: site.status()["link_reason"], within_s=60)
    assert "the clock of this device is at 1970-01-01" in reason
    assert "before the notBefore of the certificate of 127.0.0.1:" in reason
    assert "set the clock" in reason
    secured.clock.ahead_by(0)
    await cluster.all_done([first, behind], within_s=RECONNECT_S)
    assert [cluster.job(job)["result"] for job in (first, behind)] == ["first", "behind"]
