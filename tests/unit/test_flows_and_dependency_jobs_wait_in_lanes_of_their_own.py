"""A job's lane is its tag, but what only normal workers run waits where no agent looks."""

import pytest

from bridge.jobs.lanes import is_reserved, lane_of, of_agents


@pytest.mark.parametrize(
    ("kind", "tag", "lane"),
    [
        ("preview", "pos-north", "pos-north"),
        ("script", "python3", "python3"),
        ("flow", "flow", "flow"),
        ("flowpreview", "flow-main", "flow-main"),
        ("flownode", "pos-north", "flow"),
        ("singlestepflow", "flower", "flow"),
        ("identity", "edge", "flow"),
        ("dependencies", "python3", "dependency"),
        ("dependencies", "pos-north", "dependency"),
        ("flowdependencies", "dependency-main", "dependency-main"),
        ("flowdependencies", "flow", "dependency"),
    ],
)
def test_the_lane_of_a_job(kind: str, tag: str, lane: str) -> None:
    assert lane_of(kind, tag) == lane


def test_agents_take_from_no_reserved_lane() -> None:
    tags = ["flow", "bash", "flow-main", "dependency", "flower", "dependency-main", "flowers-north"]
    assert [tag for tag in tags if is_reserved(tag)] == ["flow", "flow-main", "dependency", "dependency-main"]
    assert of_agents(tags) == ["bash", "flower", "flowers-north"]
