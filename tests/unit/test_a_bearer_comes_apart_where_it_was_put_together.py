"""Properties of the agent token as text (agent-api.md 1.3): any suffix, any noise."""

import base64
import json
import math

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agent.wire.tokens import AGENT_PREFIX, JWT_START, bearer_of, instance_of, said_by, split_bearer
from bridge.agents.introspection import unverified

SUFFIXES = st.from_regex(r"\A[A-Za-z0-9._-]{1,80}\Z").filter(lambda suffix: JWT_START not in suffix)
CLAIMS = st.dictionaries(st.text(st.characters(codec="utf-8")), st.integers() | st.text(), min_size=1)


def jwt_of(claims: object) -> str:
    head, payload = (base64.urlsafe_b64encode(json.dumps(part).encode()) for part in ({"alg": "x"}, claims))
    return ".".join(part.decode().rstrip("=") for part in (head, payload, b"c2ln"))


@given(SUFFIXES, CLAIMS)
@example("till_e_ey_", {"a": 1})
def test_suffix_and_claims_come_back(suffix: str, claims: dict[str, object]) -> None:
    jwt = jwt_of(claims)
    for token in (jwt, AGENT_PREFIX + jwt):
        assert split_bearer(bearer_of(token, suffix)) == (suffix, jwt)
        assert said_by(token) == claims


@given(st.text())
def test_the_suffix_of_any_machine_can_be_split_off_again(hostname: str) -> None:
    suffix = f"{instance_of(hostname)}-a1b2c"
    assert split_bearer(bearer_of("eyJ.x.y", suffix)) == (suffix, "eyJ.x.y")


@given(st.text() | st.text().map(f"{AGENT_PREFIX}{{}}_eyJ".format))
def test_of_noise_no_part_gets_lost(noise: str) -> None:
    parts = split_bearer(noise)
    whole = noise.removeprefix(AGENT_PREFIX)
    assert (JWT_START in whole) is (parts is not None)
    if parts is not None:
        assert "_".join(parts) == whole


@given(st.text() | st.binary().map(lambda noise: f"a.{base64.urlsafe_b64encode(noise).decode()}.c"))
@example(f"a.{base64.urlsafe_b64encode(b'[' * 100_000).decode()}.c")
@example(f"a.{base64.urlsafe_b64encode(b'7').decode()}.c")
def test_noise_says_nothing_and_that_is_a_named_error(noise: str) -> None:
    try:
        assert isinstance(said_by(noise), dict)
    except (ValueError, IndexError):
        return


@given(
    st.sampled_from(["worker_group", "tags", "exp"]),
    st.none() | st.text() | st.floats() | st.lists(st.none()),
)
@example("exp", math.inf)
def test_odd_claims_are_told_or_are_none(name: str, odd: object) -> None:
    claims = {"worker_group": "pos", "tags": ["bash"], "exp": 2_000_000_000} | {name: odd}
    told = unverified(bearer_of(jwt_of(claims), "till"))
    assert told is None or told.worker.startswith("ag-")


def test_a_suffix_that_looks_like_a_token_is_not_taken_whole() -> None:
    """No suffix of ours has an underscore; of another's the part before the first `_eyJ` counts."""
    split = split_bearer(bearer_of("eyJ.x.y", "a_eyJb"))
    assert split == ("a", "eyJb_eyJ.x.y")


@pytest.mark.parametrize("bearer", ["", AGENT_PREFIX, "eyJ.x.y", f"{AGENT_PREFIX}eyJ.x.y"])
def test_without_a_suffix_there_is_nothing_to_split(bearer: str) -> None:
    assert split_bearer(bearer) is None
