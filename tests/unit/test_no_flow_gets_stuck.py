"""Whatever a flow is made of and whatever happens to it: it ends, or waits for something that has a name."""

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings

from tests.support.flow_vectors import Vector
from tests.support.flows_in_memory import Memory
from tests.support.javascript import Javascript, javascript
from tests.support.random_flows import AWAY, flows


@pytest.fixture(scope="module")
def engine() -> Iterator[Javascript]:
    with javascript() as started:
        yield started


@given(flows())
@settings(
    max_examples=300,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
def test_it_ends_or_names_what_it_waits_for(engine: Javascript, flow: Vector) -> None:
    memory = Memory(engine, flow)
    stuck = memory.stuck()
    if stuck is not None:
        assert {job.tag for job in memory.unended() if job.code is not None} == {AWAY}
        assert any(module.get("held") for module in (*stuck["modules"], stuck["failure_module"]))
