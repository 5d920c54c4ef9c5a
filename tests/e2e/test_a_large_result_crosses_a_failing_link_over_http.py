"""A document that takes longer than the link ever lives, without a broker: a cut costs a few parts of it."""

import json
from pathlib import Path

from agent.jobs.pace import PARTS_MAX
from agent.wire.envelope import BLOB_PART_BYTES
from tests.e2e.test_a_large_result_crosses_a_link_that_keeps_failing import (
    BYTES_PER_S,
    CUTS,
    OVERHEAD,
    RANDOM_BYTES,
    TALK,
    cut_after,
)
from tests.support.until import until
from tests.support.world import World

ON_THE_WIRE = RANDOM_BYTES * 4 // 3  # base64 in JSON, as it is


async def test_it_arrives_whole_and_only_what_was_on_its_way_is_sent_again(
    brokerless: World, tmp_path: Path
) -> None:
    agent = await brokerless.agent("bash", slots=2)
    wait = f"until [ -e {tmp_path}/go ]; do sleep 0.1; done"
    made = f"head -c {RANDOM_BYTES} /dev/urandom | base64 -w0"
    large = brokerless.cluster.submit(
        f"{wait}; {{ printf '\"'; {made}; printf '\"'; }} | tee {tmp_path}/made > result.json", "bash"
    )
    await until(lambda: brokerless.cluster.job(large)["running"])
    brokerless.http_link.slow_down(bytes_per_s=BYTES_PER_S)
    before = brokerless.http_link.up_bytes
    (tmp_path / "go").touch()
    for _ in range(CUTS):
        await cut_after(brokerless.http_link, ON_THE_WIRE // (CUTS + 2))
    assert brokerless.cluster.job(large)["type"] == "QueuedJob"
    record = await brokerless.cluster.done(large, within_s=120)
    assert record["result"] == json.loads((tmp_path / "made").read_text())
    assert agent.links("up") > CUTS
    sent = brokerless.http_link.up_bytes - before
    # each connection of this link has a width of its own, so that parts beside each other do not slow it
    assert sent <= OVERHEAD * (ON_THE_WIRE + CUTS * PARTS_MAX * BLOB_PART_BYTES) + TALK
    assert agent.events("result.goes_whole") == []
    await until(lambda: not list((agent.spool / "blobs").iterdir()))
