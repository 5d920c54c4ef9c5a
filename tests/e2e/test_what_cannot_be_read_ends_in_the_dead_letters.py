"""Bad input on the broker goes to the dead letters with the reason, and the consumer goes on."""

import json
from typing import Any

import msgpack
import pytest
from aio_pika.exceptions import ChannelPreconditionFailed

from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Rejected
from agent.wire.routing import JOBS, UP, job_queue
from tests.support.mail import channel, next_letter, next_of, put
from tests.support.world import World

pytestmark = [pytest.mark.broker, pytest.mark.on_each_release]


def job(tag: str) -> bytes:
    return pack([
        Job(
            job_id=JobId("00000000-0000-0000-0000-000000000001"), attempt=Attempt(1), workspace="main",
            tag=Tag(tag), language="bash", code="echo owned", args=b"{}",
        )
    ])  # fmt: skip


def deep(depth: int) -> list[Any]:
    lists: list[Any] = []
    for _ in range(depth):
        lists = [lists]
    return lists


UNREADABLE = {
    "text": (b"not msgpack at all", "Malformed"),
    "nothing": (b"", "Malformed"),
    "no_envelope": (msgpack.packb([1, 2, 3]), "Malformed"),
    "another_version": (msgpack.packb({"v": 99, "m": []}), "WrongVersion"),
    "an_unknown_kind": (msgpack.packb({"v": 1, "m": [{"k": "sing"}]}), "Malformed"),
    "a_deep_kind": (msgpack.packb({"v": 1, "m": [{"k": deep(1000)}]}), "Malformed"),
    "a_long_kind": (msgpack.packb({"v": 1, "m": [{"k": "x" * 1_000_000}]}), "Malformed"),
    "a_field_missing": (msgpack.packb({"v": 1, "m": [{"k": "result", "job_id": "x"}]}), "Malformed"),
    "deep": (b"\x91" * 100_000, "Malformed"),
}


async def dead_letter(world: World) -> tuple[int, str]:
    """The next dead letter: how long it is, and its reason."""
    found = await next_letter(world)
    return found["bytes"], found["reason"]


async def still_works(world: World) -> None:
    record = await world.cluster.done(world.cluster.submit("echo on", "bash"))
    assert record["result"] == "on"


@pytest.mark.parametrize("kind", ["result", "event", "log"])
@pytest.mark.parametrize("what", UNREADABLE)
async def test_from_an_agent(calm: World, kind: str, what: str) -> None:
    body, name = UNREADABLE[what]
    await put(calm, UP, f"{kind}.ag-site-x", body)
    dead, reason = await dead_letter(calm)
    assert dead == len(body)
    assert reason.startswith(name)


async def test_a_frame_that_is_no_zstd(calm: World) -> None:
    await put(calm, UP, "result.ag-site-x", b"garbage", content_encoding="zstd")
    assert (await dead_letter(calm))[1].startswith("Malformed")


async def test_a_result_over_16_mib(calm: World) -> None:
    try:
        await put(calm, UP, "result.ag-site-x", b"x" * (16 * 1024 * 1024 + 1))
    except ChannelPreconditionFailed:
        pass  # from version 4 on RabbitMQ itself takes no message over 16 MiB
    else:
        assert (await dead_letter(calm))[1].startswith("TooLarge")
    await still_works(calm)


@pytest.mark.parametrize("what", UNREADABLE)
async def test_in_a_job_queue(calm: World, what: str) -> None:
    body, _ = UNREADABLE[what]
    await put(calm, JOBS, "main.bash", body)
    dead, reason = await dead_letter(calm)
    assert dead == len(body)
    assert reason.startswith("BadSignature")  # nothing of it is read before the signature holds (I4)
    await still_works(calm)


async def test_a_job_without_a_signature_never_runs(calm: World) -> None:
    await put(calm, JOBS, "main.bash", job("bash"))
    assert "carries no signature" in (await dead_letter(calm))[1]


async def test_a_job_signed_by_a_stranger_never_runs(calm: World) -> None:
    await put(calm, JOBS, "main.bash", job("bash"), headers={"kid": "stranger", "sig": "AAAA"})
    assert "stranger" in (await dead_letter(calm))[1]


async def test_a_true_job_of_a_tag_that_the_token_does_not_hold_never_runs(world: World) -> None:
    """A job of the bridge's own, moved into the queue of another tag."""
    await world.agent("bash")
    far = await world.agent("far")
    far.stop()
    await world.cluster.done(world.cluster.submit("echo warm", "bash"))
    far_job = world.cluster.submit("echo far", "far")
    async with channel(world) as opened:
        taken = await next_of(opened, job_queue(Tag("far")))
    await put(
        world, JOBS, "main.bash", taken.body, headers=taken.headers, content_encoding=taken.content_encoding
    )
    _, reason = await dead_letter(world)
    assert reason.startswith("TagNotHeld")
    assert not world.cluster.job(far_job).get("success")


async def test_a_result_of_a_job_that_nobody_knows(calm: World) -> None:
    stray = {"k": "result", "job_id": "stray", "attempt": 1, "workspace": "main", "success": True}
    await put(
        calm,
        UP,
        "result.ag-site-x",
        msgpack.packb({"v": 1, "m": [stray | {"document": json.dumps(1).encode()}]}),
    )
    assert "not in the ledger" in (await dead_letter(calm))[1]
    await still_works(calm)


async def test_a_report_whose_names_no_header_can_hold(calm: World) -> None:
    report = Rejected(reason="r" * 300_000, job_id="j" * 300_000, body=b"what came")
    await put(calm, UP, "event.ag-site-x", pack([report]))
    assert (await dead_letter(calm))[0] == len(b"what came")
    await still_works(calm)
