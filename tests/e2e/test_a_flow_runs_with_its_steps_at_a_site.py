"""A flow whose steps run at an edge site, over RabbitMQ, started and waited for by the unmodified SDK."""

import asyncio
from typing import Any

import pytest
import wmill

from tests.support.world import World

pytestmark = pytest.mark.broker


def step(id_: str, language: str, tag: str, code: str, **inputs: str) -> dict[str, Any]:
    """A value in `inputs` is an expression."""
    transforms = {name: {"type": "javascript", "expr": expr} for name, expr in inputs.items()}
    value = {"type": "rawscript", "language": language, "tag": tag, "content": code}
    return {"id": id_, "value": {**value, "input_transforms": transforms}}


MODULES = [
    step("fetch", "bash", "bash", 'site="$1"\necho "prices of $site"', site="flow_input.site"),
    step(
        "note", "python3", "python",
        "import wmill\ndef main(text):\n    wmill.set_flow_user_state('noted', text)\n    return [text, 1]",
        text="results.fetch",
    ),
    step(
        "put", "bash", "pos-$args[site]", 'site="$1"\nprices="$2"\necho "$WM_FLOW_PATH $site $prices"',
        site="flow_input.site", prices="results.note[0]",
    ),
]  # fmt: skip


async def test_in_order_each_where_its_tag_says(calm: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WM_WORKSPACE", "main")  # some of its methods read nothing else
    sdk = wmill.Windmill(calm.bridge.url, calm.cluster.bearer, "main")
    calm.cluster.post("/api/w/main/flows/create", {"path": "f/e2e/prices", "value": {"modules": MODULES}})
    job_id = sdk.run_flow_async("f/e2e/prices", {"site": "a"})
    result = await asyncio.to_thread(lambda: sdk.wait_job(job_id, timeout=60))
    assert result == "f/e2e/prices a prices of a"
    steps = calm.cluster.read(f"/api/w/main/jobs/list?parent_job={job_id}&is_flow_step=true")
    assert [(one["flow_step_id"], one["tag"], one["root_job"]) for one in steps] == [
        ("put", "pos-a", job_id), ("note", "python", job_id), ("fetch", "bash", job_id)
    ]  # fmt: skip
    carried = {row["job_id"]: row["custodian"] for row in calm.cluster.custody()}
    assert {carried[one["id"]].split("-")[0] for one in steps} == {"ag"}  # each was at the site
    assert job_id not in carried  # and the flow never was
    assert calm.cluster.read(f"/api/w/main/jobs/flow/user_states/{job_id}/noted") == "prices of a"
