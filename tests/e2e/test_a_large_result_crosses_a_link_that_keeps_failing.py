"""A document that takes longer than the link ever lives: a cut costs one part of it; small results pass."""

import asyncio
import json
from pathlib import Path

import pytest

from agent.wire.envelope import BLOB_PART_BYTES
from dev_tools.proxy import LinkProxy
from tests.support.until import until
from tests.support.world import World

pytestmark = pytest.mark.broker

RANDOM_BYTES = 3_000_000  # in base64 and compressed again: as many on the wire
BYTES_PER_S = 400_000
CUTS = 4
OVERHEAD = 1.1  # of the protocol, on every part
TALK = 150_000  # what enrolments, handshakes, events and logs take in all these lives


async def cut_after(link: LinkProxy, more_bytes: int) -> None:
    mark = link.up_bytes + more_bytes
    await until(lambda: link.up_bytes >= mark, within_s=60)
    link.cut()
    await asyncio.to_thread(link.restore)
    link.slow_down(bytes_per_s=BYTES_PER_S)


async def test_it_arrives_whole_and_at_most_one_part_is_sent_again_for_each_cut(
    world: World, tmp_path: Path
) -> None:
    agent = await world.agent("bash", slots=2)
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    made = f"head -c {RANDOM_BYTES} /dev/urandom | base64 -w0"
    large = world.cluster.submit(
        f"{wait}; {{ printf '\"'; {made}; printf '\"'; }} | tee {tmp_path}/made > result.json", "bash"
    )
    await world.cluster.running(large)
    world.amqp_link.slow_down(bytes_per_s=BYTES_PER_S)
    before = world.amqp_link.up_bytes
    (tmp_path / "go").touch()
    for _ in range(CUTS):
        await cut_after(world.amqp_link, RANDOM_BYTES // (CUTS + 2))
    small = world.cluster.submit("echo small", "bash")
    assert (await world.cluster.done(small, within_s=60))["result"] == "small"
    assert world.cluster.job(large)["type"] == "QueuedJob"  # the small one did not wait for it
    record = await world.cluster.done(large, within_s=120)
    assert record["result"] == json.loads((tmp_path / "made").read_text())
    sent = world.amqp_link.up_bytes - before
    assert agent.links("up") > CUTS
    assert sent <= OVERHEAD * (RANDOM_BYTES + CUTS * BLOB_PART_BYTES) + TALK
    await until(lambda: not list((agent.spool / "blobs").iterdir()))
