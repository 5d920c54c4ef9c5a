import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.wire.claims import Tag, WorkerName
from agent.wire.errors import NameTooLong
from agent.wire.routing import control_queue, job_binding, job_key, job_queue, up_key, word

TEXT = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)


@given(TEXT, TEXT)
def test_a_routing_key_is_two_words_and_no_pattern(workspace: str, tag: str) -> None:
    key = job_key(workspace, Tag(tag))
    assert re.fullmatch(r"[A-Za-z0-9_%-]+\.[A-Za-z0-9_%-]+", key)


@given(TEXT, TEXT)
def test_two_tags_never_share_a_queue(one: str, other: str) -> None:
    assert (job_queue(Tag(one)) == job_queue(Tag(other))) == (one == other)


@pytest.mark.parametrize(
    ("text", "encoded"),
    [("pos-süd", "pos-s%C3%BCd"), ("a.b", "a%2Eb"), ("*", "%2A"), ("#", "%23"), ("~", "%7E")],
)
def test_what_means_something_to_the_broker_is_encoded(text: str, encoded: str) -> None:
    assert word(text) == encoded


def test_the_names_are_those_of_the_design() -> None:
    assert job_queue(Tag("pump")) == "orvanta.jobs.pump"
    assert job_binding(Tag("pump")) == "*.pump"
    assert up_key("result", WorkerName("ag-shops-x1")) == "result.ag-shops-x1"
    assert control_queue(WorkerName("ag-shops-x1")) == "orvanta.agent.ag-shops-x1"


def test_a_name_over_255_bytes_is_refused_by_name() -> None:
    job_queue(Tag("x" * 242))
    with pytest.raises(NameTooLong, match="shorten the tag"):
        job_queue(Tag("x" * 243))
