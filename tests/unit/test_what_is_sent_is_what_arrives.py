"""Property tests of the envelope: every message survives the wire, and everything else is refused by name."""

import base64

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.compression import compress, decompress
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import MAX_BYTES, open_job, pack, seal, unpack, unseal
from agent.wire.errors import BadSignature, Malformed, TooLarge, WireError, WrongVersion
from agent.wire.messages import KINDS, Delivery, Job, Message

JOB = Job(
    job_id=JobId("j"),
    attempt=Attempt(1),
    workspace="main",
    tag=Tag("pos-süd"),
    language="bash",
    code="true",
    args=b"{}",
)

st.register_type_strategy(int, st.integers(-(2**63), 2**63 - 1))  # what msgpack has room for
st.register_type_strategy(float, st.floats(allow_nan=False))  # NaN is not equal to itself


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


def test_a_small_frame_that_unpacks_to_gigabytes_is_refused() -> None:
    bomb = compress(b"\0" * (MAX_BYTES + 1))
    with pytest.raises(Malformed, match="unpacks to over"):
        unseal(bomb, "zstd", decompress)


def test_what_is_too_large_is_refused_before_it_is_read() -> None:
    with pytest.raises(TooLarge):
        unseal(b"\0" * (MAX_BYTES + 1), None, decompress)


def test_the_delivery_is_an_enum_again() -> None:
    (job,) = unpack(pack([JOB]))
    assert isinstance(job, Job)
    assert job.delivery is Delivery.AT_LEAST_ONCE
