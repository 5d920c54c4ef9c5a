"""What a failed fsync had written is in the log, whole; yet "nothing was kept" stays true (I1, I2)."""

import sqlite3
from pathlib import Path

import pytest

from agent.database import Database, ReadFailed, WriteFailed
from tests.support.failing_disk import failing_disk, needs_fuse

pytestmark = needs_fuse


def numbers(db: sqlite3.Connection) -> list[int]:
    return [number for (number,) in db.execute("SELECT number FROM t")]


async def insert(database: Database, number: int) -> None:
    await database.write(lambda db: db.execute("INSERT INTO t VALUES (?)", (number,)))


async def test_also_when_the_same_disk_fails_to_read_before_it_is_well(tmp_path: Path) -> None:
    async with failing_disk(tmp_path) as disk:
        database = await Database.open(
            disk.folder / "t.db", ["CREATE TABLE t (number); CREATE TABLE not_in_memory (x);"]
        )
        await insert(database, 1)
        assert await database.read(numbers) == [1]
        disk.fail("fsync")
        with pytest.raises(WriteFailed):
            await insert(database, 2)
        disk.fail("read")
        with pytest.raises(ReadFailed):
            await database.read(lambda db: db.execute("SELECT * FROM not_in_memory").fetchall())
        disk.mend()
        assert await database.read(numbers) == [1]
        await insert(database, 3)
        assert await database.read(numbers) == [1, 3]
        await database.close()
