"""Property tests of the envelope: every message survives the wire, and everything else is refused by name."""

import base64
import math
import os
from dataclasses import replace
from typing import Any

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compression import compress, decompress
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import (
    INT_BITS,
    MAX_BYTES,
    NUMBER_BITS,
    claimed_job,
    open_job,
    pack,
    seal,
    unpack,
    unseal,
)
from agent.wire.errors import BadSignature, Malformed, TooLarge, WireError, WrongVersion
from agent.wire.messages import KINDS, Delivery, Grant, Hello, Job, Message

JOB = Job(
    job_id=JobId("j"),
    attempt=Attempt(1),
    workspace="main",
    tag=Tag("pos-süd"),
    language="bash",
    code="true",
    args=b"{}",
)

HELLO = Hello(worker=WorkerName("ag-a-b"), version="1", slots=1, held=0, backlog=0, wall_s=0.0)

st.register_type_strategy(int, st.integers(1 - 2**INT_BITS, 2**INT_BITS - 1))
MEASURE_MAX = 2.0**NUMBER_BITS
st.register_type_strategy(float, st.floats(-MEASURE_MAX, MEASURE_MAX, exclude_min=True, exclude_max=True))

DEEP: list[Any] = []
for _ in range(1000):
    DEEP = [DEEP]
TOLD_MAX = 1000  # characters of an error: it goes into logs, headers and reports


def sign(body: bytes) -> tuple[str, bytes]:
    return "key", body[:4]


def verify(kid: str, signature: bytes, body: bytes) -> bool:
    return kid == "key" and signature == body[:4]


@given(st.sampled_from(sorted(KINDS)).flatmap(lambda kind: st.builds(KINDS[kind])))
def test_every_message_comes_back_as_it_was(message: Message) -> None:
    envelope = seal(pack([message]), compress)
    assert unpack(unseal(envelope.body, envelope.content_encoding, decompress)) == [message]


@given(st.binary(max_size=200))
def test_noise_is_refused_and_never_crashes(noise: bytes) -> None:
    with pytest.raises(WireError):
        open_job(noise, {"kid": "key", "sig": base64.b64encode(noise[:4]).decode()}, verify)


def test_a_signed_job_opens_and_a_changed_one_does_not() -> None:
    body = pack([JOB])
    headers = seal(body, compress, sign).headers
    assert open_job(body, headers, verify) == JOB
    with pytest.raises(BadSignature):
        open_job(b"x" + body[1:], headers, verify)
    with pytest.raises(BadSignature):
        open_job(body, {}, verify)
    with pytest.raises(BadSignature, match="not base64"):
        open_job(body, dict(headers) | {"sig": "süd"}, verify)


def test_another_version_is_named() -> None:
    with pytest.raises(WrongVersion, match="upgrade"):
        unpack(msgpack.packb({"v": 2, "m": []}))


def test_unknown_fields_are_ignored_and_missing_ones_named() -> None:
    grant = {"k": "grant", "job_id": "j", "attempt": 1, "from_the_future": 1}
    (message,) = unpack(msgpack.packb({"v": 1, "m": [grant]}))
    assert message.KIND == "grant"
    with pytest.raises(Malformed, match="attempt"):
        unpack(msgpack.packb({"v": 1, "m": [{"k": "grant", "job_id": "j"}]}))


def test_a_wrong_type_is_named() -> None:
    with pytest.raises(Malformed, match="'attempt' must be int, not bool"):
        unpack(msgpack.packb({"v": 1, "m": [{"k": "grant", "job_id": "j", "attempt": True}]}))
    bad = {
        "k": "job",
        "job_id": "j",
        "attempt": 1,
        "workspace": "w",
        "tag": "t",
        "language": "bash",
        "code": "",
    }
    with pytest.raises(Malformed, match="delivery"):
        unpack(msgpack.packb({"v": 1, "m": [bad | {"args": b"", "delivery": "sometimes"}]}))


@pytest.mark.parametrize("odd", [DEEP, "x" * 1_000_000, {"x" * 1_000_000: 1}, [1] * 100_000])
def test_what_is_wrong_is_told_in_few_words(odd: object) -> None:
    job = {"k": "job", "job_id": "j", "attempt": 1, "workspace": "w", "tag": "t", "language": "", "code": ""}
    for outer in (
        {"v": odd, "m": []},
        {"v": 1, "m": [{"k": odd}]},
        {"v": 1, "m": [job | {"args": b"", "delivery": odd}]},
        {"v": 1, "m": [job | {"args": b"", "env": odd}]},
    ):
        with pytest.raises(WireError) as told:
            unpack(msgpack.packb(outer))
        assert len(str(told.value)) < TOLD_MAX
    for encoding, headers in (("x" * 1_000_000, {}), (None, {"kid": "k" * 1_000_000, "sig": ""})):
        with pytest.raises(WireError) as told:
            open_job(unseal(b"", encoding, decompress), headers, verify)
        assert len(str(told.value)) < TOLD_MAX


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf, 1e308, 2**53, -(2**53)])
def test_a_number_that_no_clock_shows_is_refused(odd: float) -> None:
    with pytest.raises(Malformed, match="'wall_s' must fit in 53 bits"):
        unpack(msgpack.packb({"v": 1, "m": [{"k": "settings", "wall_s": odd}]}))


@pytest.mark.parametrize("odd", [2**62, 2**64 - 1, -(2**62)])
def test_a_count_to_which_nothing_can_be_added_is_refused(odd: int) -> None:
    log = {"k": "log", "job_id": "j", "attempt": 1, "offset": odd, "text": "x"}
    with pytest.raises(Malformed, match="'offset' must fit in 62 bits"):
        unpack(msgpack.packb({"v": 1, "m": [log]}))


@pytest.mark.parametrize(("name", "items"), [("env", {"A": 1}), ("env", {b"A": "x"}), ("tags", [1])])
def test_what_is_in_a_list_or_a_map_has_its_type_too(name: str, items: object) -> None:
    (true,) = msgpack.unpackb(pack([JOB if name == "env" else HELLO]))["m"]
    with pytest.raises(Malformed, match=f"'{name}'"):
        unpack(msgpack.packb({"v": 1, "m": [true | {name: items}]}))


@pytest.mark.parametrize(
    ("messages", "said"),
    [
        ({}, "must be a list"),
        ([1], "must be a map"),
        ([{"k": "order"}], "'order' is unknown; known are job, grant"),
        ([{"k": "grant", "job_id": "j", "attempt": 2**63}], "must fit in 62 bits"),
    ],
)
def test_what_is_no_message_is_named(messages: object, said: str) -> None:
    with pytest.raises(Malformed, match=said):
        unpack(msgpack.packb({"v": 1, "m": messages}))


@pytest.mark.parametrize("messages", [[JOB, JOB], [Grant(job_id=JOB.job_id, attempt=JOB.attempt)]])
def test_a_job_travels_alone(messages: list[Message]) -> None:
    body = pack(messages)
    with pytest.raises(Malformed, match="alone"):
        open_job(body, seal(body, compress, sign).headers, verify)
    assert claimed_job(body) is None


def test_an_unproved_body_may_say_which_job_it_is() -> None:
    assert claimed_job(pack([JOB])) == JOB
    assert claimed_job(b"noise") is None


def test_what_zstd_makes_no_smaller_travels_as_it_is() -> None:
    noise = os.urandom(4096)
    assert seal(noise, compress).body == noise
    assert seal(noise, compress).content_encoding is None


def test_an_encoding_that_is_not_spoken_here_is_named() -> None:
    with pytest.raises(Malformed, match="'gzip' is not spoken here"):
        unseal(b"", "gzip", decompress)


def test_a_small_frame_that_unpacks_to_gigabytes_is_refused() -> None:
    bomb = compress(b"\0" * (MAX_BYTES + 1))
    with pytest.raises(Malformed, match="unpacks to over"):
        unseal(bomb, "zstd", decompress)


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        unseal(b"\0" * (MAX_BYTES + 1), None, decompress)


def test_what_is_too_large_is_not_sent() -> None:
    with pytest.raises(TooLarge, match="bytes to send"):
        pack([replace(JOB, args=b"\0" * MAX_BYTES)])


def test_the_delivery_is_an_enum_again() -> None:
    (job,) = unpack(pack([JOB]))
    assert isinstance(job, Job)
    assert job.delivery is Delivery.AT_LEAST_ONCE
