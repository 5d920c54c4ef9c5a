"""PostgreSQL is killed while jobs flow: the API says 503, the relay waits, and both go on by themselves."""

import asyncio
from pathlib import Path
from typing import Final

import httpx
import pytest

from bridge.store.on_server import OnServer
from dev_tools.brokers.broker import Broker
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.database import DatabaseServer
from tests.support.flow import HTTP, SITE, Flow
from tests.support.pair import Pair
from tests.support.until import until

pytestmark = pytest.mark.broker

CRASHES: Final = 2
NOTICED_S: Final = 60.0


async def test_a_killed_postmaster(
    tmp_path: Path, broker: Broker, database: OnServer, database_server: DatabaseServer
) -> None:
    with fresh_vhost(broker) as amqp_url, Pair(tmp_path, amqp_url, database, "a") as alone:
        await alone.open()
        (bridge,), (cluster,) = alone.bridges, alone.clusters
        flow, worker = Flow(alone, tmp_path / "trace"), alone.worker(HTTP, name="till")
        pid = bridge.process.pid
        async with asyncio.TaskGroup() as group:
            working = group.create_task(worker.work())
            await alone.agent(bridge, SITE, slots=2).start()
            for _ in range(CRASHES):
                await flow.push(5, bridge)
                await flow.done(1, bridge)
                database_server.kill()
                try:
                    await until(lambda: says_to_come_again(cluster.bearer, bridge.url), within_s=NOTICED_S)
                finally:
                    database_server.start()
                await flow.done(1, bridge)
            await flow.push(2, bridge)
            await flow.once_each(bridge, [worker])
            working.cancel()
        assert (bridge.process.pid, bridge.process.is_running()) == (pid, True)


def says_to_come_again(bearer: str, url: str) -> bool:
    headers = {"Authorization": f"Bearer {bearer}"}
    read = httpx.get(f"{url}/api/w/main/jobs/list", headers=headers, timeout=30)
    written = httpx.post(f"{url}/api/w/main/jobs/run/preview", headers=headers, json=JOB, timeout=30)
    return all(one.status_code == 503 and int(one.headers["Retry-After"]) > 0 for one in (read, written))


JOB: Final = {"content": "echo never", "language": "bash", "tag": "nobody", "args": {}}
