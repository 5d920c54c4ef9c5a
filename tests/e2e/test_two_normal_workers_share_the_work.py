"""Normal workers beside a bridge, on its database: they share the work, and one goes on for another."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import pytest

from bridge.store.on_server import OnServer
from tests.support.pair import Pair
from tests.support.until import until
from tests.support.wheel_index import only_from, put_wheel
from tests.support.world import Cluster, Service

JOBS = 12
STATUS = "/api/w/main/scripts/deployment_status/p"
BODY = {
    "type": "rawscript", "language": "bash", "tag": "work", "content": 'n="$1"\necho "$n"',
    "input_transforms": {"n": {"type": "javascript", "expr": "flow_input.iter.value"}},
}  # fmt: skip
ITEMS = {"type": "static", "value": [1, 2, 3]}
LOOP = {
    "modules": [
        {
            "id": "all",
            "value": {"type": "forloopflow", "iterator": ITEMS, "modules": [{"id": "a", "value": BODY}]},
        }
    ]
}
SWEPT_S = 60.0  # the bridge's patience is 5 s here, and machines are slow


@dataclass(frozen=True)
class Workers:
    cluster: Cluster
    services: Sequence[Service]

    def who_runs(self, job_id: str) -> Service:
        name = self.cluster.job(job_id)["worker"]
        return next(
            one for one in self.services if any(e["worker"] == name for e in one.events("worker.started"))
        )


@pytest.fixture
async def workers(tmp_path: Path, database: OnServer) -> AsyncIterator[Workers]:
    with Pair(tmp_path, "", database, "a") as pair, ExitStack() as close:
        (bridge,) = pair.bridges
        bridge.settings["ZOMBIE_JOB_TIMEOUT"] = "5"
        bridge.run_with("--no-worker")
        await pair.open()
        services = []
        for name in ("one", "two"):
            index = only_from(tmp_path, {})
            settings = (
                bridge.settings | index | {"WORKER_DIR": str(tmp_path / "work"), "BASE_URL": bridge.url}
            )
            command = ["bridge", "worker", "--tags", "flow,dependency,work", "--slots", "1"]
            services.append(Service(tmp_path / name, command, settings))
            close.callback(services[-1].close)
            services[-1].launch()
        for service in services:
            await until(lambda service=service: service.events("worker.started"), within_s=30)
        yield Workers(pair.clusters[0], services)


async def test_they_share_the_work_and_a_death_costs_none(workers: Workers, tmp_path: Path) -> None:
    cluster = workers.cluster
    jobs = [cluster.submit("sleep 0.1; echo done", "work") for _ in range(JOBS)]
    await cluster.all_done(jobs)
    assert {workers.who_runs(job) for job in jobs} == set(workers.services)

    put_wheel(tmp_path, "shoptool", "1.0")
    needy = {"path": "f/shop/a", "content": "import shoptool", "language": "python3"}
    cluster.post("/api/w/main/scripts/create", needy)
    lock = await until(lambda: cluster.read(f"{STATUS}/f/shop/a")["lock"])
    assert lock == "# py: 3.11\nshoptool==1.0"

    trace, gate = tmp_path / "trace", tmp_path / "gate"
    held = cluster.submit(
        f"echo $ORVANTA_ATTEMPT >> {trace}; while [ ! -e {gate} ]; do sleep 0.05; done; echo held", "work"
    )
    await until(trace.exists)
    victim = workers.who_runs(held)
    victim.kill()
    flow = cluster.post("/api/w/main/jobs/run/preview_flow", {"value": LOOP, "args": {}})
    await cluster.all_done([cluster.submit("echo other", "work"), flow])
    assert cluster.job(flow)["result"] == ["1", "2", "3"]
    await until(lambda: trace.read_text().split() == ["1", "2"], within_s=SWEPT_S)
    survivor = workers.who_runs(held)
    stopping = asyncio.create_task(asyncio.to_thread(survivor.stop))
    gate.touch()
    assert (await cluster.done(held))["result"] == "held"  # what runs is let end
    assert survivor is not victim
    assert await stopping == 0
