"""Tags of agent-api.md 4.1 and 4.2."""

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from bridge.errors import BadRequest
from bridge.jobs.push import checked_args
from bridge.jobs.tags import assign, interpolate
from tests.support.cluster import Running


@pytest.mark.parametrize(
    ("template", "tag"),
    [
        ("pos-$args[site]", "pos-north"),
        ("$workspace-$args[n]-$args[n]", "main-7-7"),
        ("t-$args[flag]", "t-true"),
        ("t-$args[none]", "t-null"),
        ("t-$args[missing]", "t-"),
        ("t-$args[list]", 't-[1, "a"]'),
        ("t-$args[quoted]", 't-a\\"b\\\\'),
        ("t-$args[a.b]", "t-$args[a.b]"),
        ("t-$args[größe]", "t-5"),
        ("t-$args[nested]", "t-$args[n]"),
    ],
)
def test_interpolation(template: str, tag: str) -> None:
    args = checked_args(
        b'{"site": "north", "n": 7, "flag": true, "none": null, "list": [1, "a"], "quoted": "a\\"b\\\\",'
        b' "gr\xc3\xb6\xc3\x9fe": 5, "nested": "$args[n]"}'
    )
    assert interpolate(template, "main", args) == tag


@given(st.dictionaries(st.from_regex(r"\A\w+\Z"), st.text(st.characters(codec="utf-8"))))
def test_a_plain_tag_is_never_changed(args: dict[str, str]) -> None:
    raw = checked_args(msgspec.json.encode(args))
    assert interpolate("pos-north", "main", raw) == "pos-north"


def test_without_an_explicit_tag_the_language_decides() -> None:
    assert assign(None, "python3", "main", {}) == "python3"
    assert assign("", "bunnative", "main", {}) == "nativets"


def test_a_tag_that_no_queue_can_be_named_after_is_refused() -> None:
    for template in ("$args[missing]", "é" * 34):
        with pytest.raises(BadRequest):
            assign(template, "bash", "main", {})
    assert assign("é" * 33, "bash", "main", {}) == "é" * 33


async def test_the_run_parameter_wins_over_the_scripts_own(cluster: Running) -> None:
    script = {"path": "f/a", "content": "", "language": "bash", "tag": "pos-$args[site]"}
    await cluster.admin.post("/api/w/main/scripts/create", json=script)
    run = "/api/w/main/jobs/run/p/f/a"
    own = await cluster.admin.post(run, json={"site": "north"})
    given_tag = await cluster.admin.post(run, json={"site": "north"}, params={"tag": "$workspace-x"})
    assert (await cluster.job(own.text))["tag"] == "pos-north"
    assert (await cluster.job(given_tag.text))["tag"] == "main-x"
