"""I5: two lives of the link may tell the same text as sent; no other text goes with it."""

from pathlib import Path

from agent.clock import SystemClock
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId

FIRST = (JobId("first"), Attempt(1))
SECOND = (JobId("second"), Attempt(1))


async def texts(spool: Spool) -> list[str]:
    return [chunk.text for chunk in await spool.pending_log(10)]


async def test_what_was_kept_in_between_is_still_to_be_sent(tmp_path: Path) -> None:
    spool = await Spool.open(tmp_path / "spool", SystemClock())
    try:
        await spool.add_log(FIRST, 0, "sent twice")
        sent = [chunk.chunk_id for chunk in await spool.pending_log(10)]
        await spool.log_sent(sent)  # the first life of the link
        await spool.add_log(SECOND, 0, "not sent")
        await spool.log_sent(sent)  # the second, which had read them before
        assert await texts(spool) == ["not sent"]
    finally:
        await spool.close()


async def test_what_an_earlier_life_of_the_agent_left_is_sent_first(tmp_path: Path) -> None:
    for text in ("left", "new"):
        spool = await Spool.open(tmp_path / "spool", SystemClock())
        await spool.add_log(FIRST, 0, text)
        seen = await texts(spool)
        await spool.close()
    assert seen == ["left", "new"]
