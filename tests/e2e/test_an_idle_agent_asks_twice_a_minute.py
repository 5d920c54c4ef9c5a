"""Over HTTP, to a bridge of ours: nothing to do costs next to nothing, and a job is learnt of at once."""

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from tests.support.http_cluster import HttpCluster, bridge_cluster
from tests.support.until import until

WAIT_S = 30.0
SLACK_S = 10.0


@pytest.fixture
async def cluster(tmp_path: Path) -> AsyncIterator[HttpCluster]:
    async with bridge_cluster(tmp_path) as opened:
        yield opened


async def test_each_of_its_pulls_waits_for_half_a_minute(cluster: HttpCluster) -> None:
    await cluster.agent("bash")
    await until(lambda: cluster.count("pull_job") == 1)
    quiet_from = len(cluster.asked)
    await until(lambda: cluster.count("pull_job") == 2, within_s=WAIT_S + SLACK_S)
    (first_s, second_s) = (at_s for at_s, path in cluster.asked if path.endswith("pull_job"))
    assert second_s - first_s >= WAIT_S - 1
    assert [path for _, path in cluster.asked[quiet_from:]] == ["/api/agent_workers/pull_job"]


async def test_a_job_is_learnt_of_in_the_moment_that_it_is_pushed(cluster: HttpCluster) -> None:
    await cluster.agent("bash")
    await until(lambda: cluster.count("pull_job") == 1)
    began_s = time.monotonic()
    job = await cluster.running.preview("echo hi")
    await until(lambda: cluster.result(job))
    assert cluster.count("pull_job") >= 2  # the next one is under way
    pulled_s = next(at_s for at_s, path in cluster.asked[::-1] if path.endswith("pull_job"))
    assert pulled_s - began_s < SLACK_S
