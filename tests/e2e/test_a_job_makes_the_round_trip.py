"""A job is submitted at the cluster, runs at a site, and its result comes back as it was."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from tests.support.world import World

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]

PYTHON = """
def main(n: int, who: str = "nobody", extra=None):
    print("working")
    return {"text": who * n, "extra": extra}
"""


async def test_bash_takes_its_arguments_and_answers_with_its_last_line(calm: World) -> None:
    job = calm.cluster.submit(
        'name="$1"\necho one\necho "hello $name"', "bash", args={"name": "north; rm -rf $HOME"}
    )
    record = await calm.cluster.done(job)
    assert record["success"]
    assert record["result"] == "hello north; rm -rf $HOME"


async def test_python_takes_its_arguments_and_answers_with_what_main_returns(calm: World) -> None:
    args = {"n": 2, "who": "süd", "extra": [1, None, {"a": 1.5}]}
    record = await calm.cluster.done(calm.cluster.submit(PYTHON, "python", "python3", args))
    assert record["success"]
    assert record["result"] == {"text": "südsüd", "extra": [1, None, {"a": 1.5}]}
    assert record["duration_ms"] > 0


async def test_a_result_of_300_kb_comes_back_whole(calm: World) -> None:
    job = calm.cluster.submit(PYTHON, "python", "python3", {"n": 100_000, "who": "abc"})
    record = await calm.cluster.done(job)
    assert record["result"]["text"] == "abc" * 100_000


async def test_many_jobs_may_have_the_same_large_result(calm: World) -> None:
    jobs = [calm.cluster.submit(PYTHON, "python", "python3", {"n": 300_000, "who": "y"}) for _ in range(6)]
    for job in jobs:
        assert (await calm.cluster.done(job))["result"]["text"] == "y" * 300_000


async def test_a_tag_is_made_from_the_arguments(calm: World) -> None:
    job = calm.cluster.submit("echo sold", "pos-$args[site]", args={"site": "a"})
    record = await calm.cluster.done(job)
    assert record["tag"] == "pos-a"
    assert record["result"] == "sold"


async def test_the_job_knows_who_it_is(calm: World) -> None:
    job = calm.cluster.submit(
        'echo "$WM_JOB_ID $ORVANTA_IDEMPOTENCY_KEY $ORVANTA_ATTEMPT $WM_WORKSPACE"', "bash"
    )
    assert (await calm.cluster.done(job))["result"] == f"{job} {job} 1 main"


async def test_the_bridge_has_counted_it(calm: World) -> None:
    await calm.cluster.done(calm.cluster.submit("echo counted", "bash"))
    figures = {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(calm.cluster.page("/metrics"))
        for sample in family.samples
    }
    assert figures["orvanta_results_recorded_total", "success"] >= 1
    assert figures["orvanta_jobs_completed_total", "success"] >= 1
    for counted in (
        "orvanta_broker_publish_confirm_seconds",
        "orvanta_pull_seconds",
        "orvanta_store_write_seconds",
    ):
        assert figures[f"{counted}_count",] >= 1, counted
    assert figures["orvanta_broker_up",] == figures["orvanta_bridge_leads",] == 1
    assert calm.cluster.read("/readyz")["ready"]
