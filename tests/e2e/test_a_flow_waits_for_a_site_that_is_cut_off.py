"""A flow's steps at a site without a link: the flow says who holds them, waits, and ends when it returns."""

from pathlib import Path
from typing import Any

import pytest

from tests.support.until import until
from tests.support.world import RECONNECT_S, World

pytestmark = pytest.mark.broker

SITES = ["a", "b"]


def loop(code: str) -> dict[str, Any]:
    """The same for each site, in a flow of its own."""
    site = {"site": {"type": "javascript", "expr": "flow_input.iter.value"}}
    step = {"type": "rawscript", "language": "bash", "tag": "pos-$args[site]", "content": code}
    body = [
        {"id": "price", "value": step | {"input_transforms": site}},
        {"id": "note", "value": {"type": "identity"}},
    ]
    value = {"type": "forloopflow", "parallel": True, "skip_failures": False, "modules": body}
    return {"modules": [{"id": "sites", "value": value | {"iterator": {"type": "static", "value": SITES}}}]}


async def test_until_the_link_returns(world: World, tmp_path: Path) -> None:
    agent = await world.agent("pos-a", "pos-b", slots=2)
    gate, cluster = tmp_path / "gate", world.cluster
    code = f'site="$1"\nwhile [ ! -e {gate} ]; do sleep 0.05; done; echo "price of $site"'
    flow = cluster.post("/api/w/main/jobs/run/preview_flow", {"value": loop(code), "args": {}})

    def held() -> list[tuple[str, str]]:
        found = cluster.job(flow)["flow_status"]["modules"][0].get("held", [])
        return [(one["tag"], one["step"]) for one in found if (one["worker"] or "").startswith("ag-")]

    await until(lambda: held() == [("pos-a", "price"), ("pos-b", "price")])
    world.cut()
    await until(lambda: agent.links("down"))
    gate.touch()
    await until(lambda: agent.status().get("backlog") == len(SITES))  # done there, and nobody knows
    assert cluster.job(flow)["type"] == "QueuedJob"
    assert held() == [("pos-a", "price"), ("pos-b", "price")]
    world.restore()
    ended = await cluster.done(flow, within_s=RECONNECT_S)
    assert (ended["success"], ended["result"]) == (True, ["price of a", "price of b"])
