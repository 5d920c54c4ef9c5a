"""An agent's init and periodic script, told to the cluster as jobs, stand in the worker's drawer."""

import re

import pytest

from tests.support.cluster import Running
from tests.support.fleet import site

ALL = "/api/agent_workers"


async def told(cluster: Running, suva: str, kind: str, content: str, *, success: bool) -> dict[str, object]:
    agent = await cluster.agent("bash", group="shops", suffix=suva)
    job_id = (await agent.post(f"{ALL}/{kind}", json={"content": content})).json()
    body = {"job_id": job_id, "recoverable": False}
    held: dict[str, object] = (await agent.post(f"{ALL}/same_worker_job/{job_id}", json=body)).json()["job"]
    sent = {"success": success, "result": None}
    await agent.post(f"/api/w/admins/agent_workers/send_result/{job_id}", json=sent)
    return held


@pytest.mark.on_both_stores
async def test_the_newest_of_each(cluster: Running) -> None:
    suva = await site(cluster, "suva")
    path = f"/workers/agent/{suva.worker}"
    assert "Init script" not in (await cluster.admin.get(path)).text
    held = await told(cluster, "suva", "queue_init_job", "#!/usr/bin/env python3\nprint(1)", success=True)
    assert held["script_lang"] == "python3"
    await told(cluster, "suva", "queue_periodic_job", "#!/bin/bash\ntrue", success=True)
    cluster.clock.ahead_s += 60
    newest = await told(cluster, "suva", "queue_periodic_job", "false", success=False)
    assert newest["script_lang"] == "bash"
    await told(cluster, "nadi", "queue_init_job", "true", success=False)
    page = (await cluster.admin.get(path)).text
    shown = re.findall(r'<dt>(\w+ script)</dt><dd><a href="/run/([^"]+)">([^<]+)</a>', page)
    assert shown == [
        ("Init script", held["id"], "success"),
        ("Periodic script", newest["id"], "failure"),
    ]
