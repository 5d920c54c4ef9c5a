"""Property of the job JSON (agent-api.md 3.1): what the cluster hands out is what a relay over HTTP reads."""

import json
from dataclasses import fields, replace

from hypothesis import given
from hypothesis import strategies as st

from bridge.jobs.model import Delivery, Pulled, Replace
from bridge.relay.sources.source import COMPLETED_FIELDS, pulled_from

TEXTS = st.text(st.characters(codec="utf-8"), max_size=30)
TIMES = st.floats(0, 4_102_444_800)  # to the year 2100
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=5,
)
BY_FIELD = {
    "args": st.dictionaries(TEXTS, JSON, max_size=4).map(lambda args: json.dumps(args).encode()),
    "delivery": st.sampled_from(Delivery.__args__),
    "replace": st.none() | st.sampled_from(Replace.__args__),
    **{f"{name}_s": TIMES for name in ("created_at", "scheduled_for", "started_at")},
    "not_after_s": st.none() | TIMES,
    **{f"{name}_s": st.none() | st.integers(0, 2**31) for name in ("timeout", "lost_after")},
    "priority": st.none() | st.integers(-32768, 32767),
    "same_worker": st.booleans(),
    "scripts": st.dictionaries(TEXTS, TEXTS, max_size=2),
    **{name: st.none() | TEXTS for name in ("lock", "path", "parent_job", "canceled_by", "canceled_reason")},
}
JOBS = st.builds(Pulled, **{one.name: BY_FIELD.get(one.name, TEXTS) for one in fields(Pulled)})
SAME = (
    "job_id", "workspace", "tag", "language", "code", "lock", "path", "priority", "delivery", "replace",
    "timeout_s", "lost_after_s", "created_by", "permissioned_as", "token", "scripts",
)  # fmt: skip


@given(JOBS)
def test_every_field_arrives(handed_out: Pulled) -> None:
    read = pulled_from(json.loads(handed_out.as_json()), None)
    assert {name: getattr(read, name) for name in SAME} == {name: getattr(handed_out, name) for name in SAME}
    assert json.loads(read.args) == json.loads(handed_out.args)
    assert (read.not_after is None) is (handed_out.not_after_s is None)
    assert abs((read.not_after or 0) - (handed_out.not_after_s or 0)) < 1e-5
    assert all(isinstance(value, str) for value in read.env.values())


@given(JOBS, st.dictionaries(TEXTS, JSON, max_size=3))
def test_what_a_newer_cluster_adds_changes_nothing(handed_out: Pulled, added: dict[str, object]) -> None:
    reply = json.loads(handed_out.as_json())
    newer = added | reply | {"job": added | reply["job"]}
    assert pulled_from(newer, None) == pulled_from(reply, None)


@given(JOBS)
def test_what_a_cluster_leaves_out_as_null_is_read_as_null(handed_out: Pulled) -> None:
    reply = json.loads(handed_out.as_json())
    bare = reply | {"job": {name: value for name, value in reply["job"].items() if value is not None}}
    assert pulled_from(bare, None) == pulled_from(reply, None)


@given(JOBS)
def test_what_goes_back_with_the_result_is_what_came(handed_out: Pulled) -> None:
    sent = json.loads(handed_out.as_json())["job"]
    kept = json.loads(pulled_from({"job": sent, "token": ""}, None).job_json)
    assert kept == {name: sent[name] for name in (*COMPLETED_FIELDS, "delivery") if name in sent} | {
        name: None for name in COMPLETED_FIELDS if name not in sent
    }


@given(JOBS, TEXTS)
def test_code_that_the_reply_leaves_out_is_what_was_fetched(handed_out: Pulled, code: str) -> None:
    reply = json.loads(replace(handed_out, code="").as_json())
    assert pulled_from(reply | {"raw_code": None}, code).code == code
