"""However much a job writes at once, a result waits behind little of it: a row leaves whole."""

from pathlib import Path

from agent.clock import SystemClock
from agent.spool.spool import LOG_CHUNK_CHARS, Spool
from agent.wire.claims import Attempt, JobId

KEY = (JobId("flood"), Attempt(1))
BEFORE = 100  # characters of its log that were kept earlier


async def test_a_flood_becomes_many_rows_that_join_to_the_same_text(tmp_path: Path) -> None:
    text = "".join(f"{line}\n" for line in range(LOG_CHUNK_CHARS))
    spool = await Spool.open(tmp_path / "spool", SystemClock())
    try:
        await spool.add_log(KEY, BEFORE, text)
        chunks = await spool.pending_log(len(text))
    finally:
        await spool.close()
    assert max(len(chunk.text) for chunk in chunks) == LOG_CHUNK_CHARS
    assert "".join(chunk.text for chunk in chunks) == text
    offset = BEFORE
    for chunk in chunks:
        assert chunk.offset == offset
        offset += len(chunk.text)
