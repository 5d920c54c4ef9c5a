"""A spool with a key: nothing of a job can be read on its disk, and all that a spool does still works."""

import asyncio
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from agent import status
from agent.__main__ import main
from agent.clock import SystemClock
from agent.config import read
from agent.errors import ConfigError, SpoolUnusable
from agent.jobs.book import Book
from agent.spool.sealing import OVERHEAD, Seal, is_sealed
from agent.spool.spool import Spool
from agent.wire.envelope import BLOB_PART_BYTES, pack
from tests.unit.filled_spool import (
    KEY,
    LARGE,
    credentials_are_as_filled,
    fill,
    fill_credentials,
    found_in,
    hold,
    is_as_filled,
    key,
    seal_key_file,
)


@pytest.fixture
def key_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    file = seal_key_file(tmp_path, KEY)
    monkeypatch.setenv("SPOOL_KEY_FILE", str(file))
    return file


@pytest.fixture
async def sealed(tmp_path: Path) -> AsyncIterator[Spool]:
    opened = await Spool.open(tmp_path / "spool", SystemClock(), seal=Seal(KEY))
    await fill(opened)
    yield opened
    await opened.close()


def tool(spool: Path, *words: str) -> tuple[int, str]:
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        code = main([*words, "--spool", str(spool)])
    return code, said.getvalue()


async def test_nothing_of_a_job_or_of_the_device_can_be_read_on_its_disk(sealed: Spool) -> None:
    device = fill_credentials(sealed.folder.path, sealed.seal)
    assert found_in(sealed.folder.path) == []
    assert await is_as_filled(sealed)
    await sealed.close()
    assert found_in(sealed.folder.path) == []
    again = await Spool.open(sealed.folder.path, SystemClock(), seal=Seal(KEY))
    assert await is_as_filled(again)
    assert credentials_are_as_filled(again, device)
    await again.close()


@pytest.mark.parametrize(("seal", "said"), [(Seal(), "no key was given"), (Seal(bytes(32)), "holds")])
async def test_a_wrong_key_is_refused_in_a_line_and_touches_nothing(
    sealed: Spool, seal: Seal, said: str
) -> None:
    await sealed.close()
    before = {file: file.read_bytes() for file in sealed.folder.path.rglob("*") if file.is_file()}
    with pytest.raises(SpoolUnusable, match=said) as refused:
        await Spool.open(sealed.folder.path, SystemClock(), seal=seal)
    assert "\n" not in str(refused.value)
    after = {file: file.read_bytes() for file in sealed.folder.path.rglob("*") if file.is_file()}
    assert after == before


async def test_what_was_kept_before_there_was_a_key_is_still_read_and_the_tool_seals_it(
    tmp_path: Path, key_file: Path
) -> None:
    path = tmp_path / "spool"
    plain = await Spool.open(path, SystemClock())
    await fill(plain)
    await hold(Book(plain, SystemClock()), "damaged")
    await plain.close()
    with sqlite3.connect(path / "spool.db") as database:
        database.execute("UPDATE held SET body = CAST(body || x'00' AS BLOB) WHERE job_id = 'damaged'")
    database.close()
    code, said = tool(path, "spool", "verify")
    assert (code, "job damaged attempt 1: the job's bytes" in said) == (1, True)
    assert not (path / "key-id").exists(), "to look with a key seals nothing"
    mixed = await Spool.open(path, SystemClock(), seal=Seal(KEY))
    assert await is_as_filled(mixed)
    await fill(mixed, name="-2")
    assert await is_as_filled(mixed, name="-2")
    assert found_in(path)
    assert tool(path, "spool", "seal")[0] == 2, "its agent runs"
    await mixed.close()
    code, said = tool(path, "spool", "seal")
    assert (code, "all of it is sealed now" in said) == (0, True)
    assert found_in(path) == []
    assert "0 rows and 0 documents" in tool(path, "spool", "seal")[1]
    code, said = tool(path, "spool", "verify")
    assert said.count("damaged:") == 1, "what was damaged still is, and nothing else"
    again = await Spool.open(path, SystemClock(), seal=Seal(KEY))
    assert await is_as_filled(again)
    assert await is_as_filled(again, name="-2")
    await again.close()


async def test_the_tools_know_the_key_and_refuse_a_wrong_one(
    sealed: Spool, tmp_path: Path, key_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = sealed.folder.path
    code, said = tool(path, "spool", "verify")
    assert (code, said.splitlines()[-1]) == (0, "checked 1 documents, 3 jobs, 2 results: all whole")
    assert tool(path, "spool", "export", "--to", str(tmp_path / "out"))[0] == 0
    (large,) = (tmp_path / "out" / "documents").iterdir()
    assert large.read_bytes() == LARGE
    await sealed.close()
    assert tool(path, "spool", "requeue", "aside")[0] == 0
    monkeypatch.delenv("SPOOL_KEY_FILE")
    for words in (("verify",), ("export", "--to", str(tmp_path / "two")), ("requeue", "--all"), ("seal",)):
        code, said = tool(path, "spool", *words)
        assert (code, said.count("\n")) == (2, 1)
        assert "key" in said
    assert tool(path, "spool", "ls")[0] == 0, "what is here can be told without the key"
    assert status.read(path)["worker"] == "ag-site-north-abcde"
    again = await Spool.open(path, SystemClock(), seal=Seal(KEY))
    assert await again.job(key("aside"))
    await again.close()


async def test_an_export_tells_no_secret_of_a_quarantined_job(
    sealed: Spool, tmp_path: Path, key_file: Path
) -> None:
    path = sealed.folder.path
    await sealed.quarantine(key("done"), "odd")
    await sealed.quarantine(key("large"), "odd")
    assert tool(path, "spool", "export", "--to", str(tmp_path / "out"))[0] == 0
    assert found_in(tmp_path / "out") == []
    told = [json.loads(line) for line in (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines()]
    assert (told[0]["job_id"], told[0]["whole"], told[0]["language"]) == ("aside", True, "bash")
    asked = ("spool", "export", "--with-secrets", "--to", str(tmp_path / "all"))
    assert tool(path, *asked)[0] == 0
    assert found_in(tmp_path / "all") == ["1.msgpack", "2.msgpack", "3.msgpack"]
    database = sqlite3.connect(sealed.folder.database)
    database.execute("UPDATE quarantine SET crc = NULL WHERE id = 1")
    database.commit()
    database.close()
    tool(path, "spool", "export", "--to", str(tmp_path / "odd"))
    told = [json.loads(line) for line in (tmp_path / "odd" / "quarantine.jsonl").read_text().splitlines()]
    assert [one["whole"] for one in told] == [False, True, True]


async def test_a_document_that_cannot_be_sealed_or_is_damaged_is_named(
    tmp_path: Path, key_file: Path
) -> None:
    plain = await Spool.open(tmp_path / "spool", SystemClock())
    await fill(plain)
    await plain.close()
    path = plain.folder.path
    (document,) = plain.folder.blobs.iterdir()
    in_the_way = document.with_name(f"{document.name}.tmp")
    in_the_way.mkdir()
    code, said = tool(path, "spool", "seal")
    assert (code, said.count("\n")) == (2, 1)
    in_the_way.rmdir()
    content = document.read_bytes()
    document.unlink()
    assert "0 documents sealed" in tool(path, "spool", "seal")[1], "it is gone"
    document.write_bytes(content)
    assert "0 rows and 1 documents sealed" in tool(path, "spool", "seal")[1]
    document.write_bytes(document.read_bytes()[:-1])
    assert tool(path, "spool", "export", "--to", str(tmp_path / "out"))[0] == 1
    rows = map(json.loads, (tmp_path / "out" / "results.jsonl").read_text().splitlines())
    assert [row["job_id"] for row in rows if row.get("damaged")] == ["large"]


async def test_damage_is_found_as_in_a_spool_without_a_key(sealed: Spool) -> None:
    database = sqlite3.connect(sealed.folder.database)
    (kept,) = database.execute("SELECT text FROM log_chunk").fetchone()
    other = Seal(KEY).close(b"x", "log", "next", 1, 7)  # sealed for another place
    database.execute("UPDATE log_chunk SET text = ?", (other,))
    database.execute("UPDATE meta SET value = ? WHERE key = 'enrolment'", (kept,))
    database.execute(
        "UPDATE held SET body = (SELECT body FROM held WHERE job_id = 'done') WHERE job_id='next'"
    )
    database.commit()
    assert [chunk.text for chunk in await sealed.pending_log(10)] == [""], "a gap, that the bridge marks"
    assert await sealed.get_meta("enrolment") is None
    assert await sealed.job(key("next")) is None
    crc = "UPDATE held SET body_crc = (SELECT body_crc FROM held WHERE job_id = 'done') WHERE job_id = 'next'"
    database.execute(crc)
    database.commit()
    assert await sealed.job(key("next")) is None, "it is sealed for another row"
    (document,) = sealed.folder.blobs.iterdir()
    content = bytearray(document.read_bytes())
    content[BLOB_PART_BYTES + OVERHEAD + 100] ^= 1
    document.write_bytes(content)
    large = await sealed.result(key("large"))
    assert large
    assert not await sealed.is_whole(large)
    assert [bool(await sealed.part(large, index)) for index in range(3)] == [True, False, True]
    database.close()


async def test_a_spool_that_was_destroyed_keeps_its_key_and_what_can_be_carried_over(sealed: Spool) -> None:
    await sealed.close()
    again = await Spool.open(sealed.folder.path, SystemClock(), seal=Seal(KEY), damaged=True)
    assert await is_as_filled(again)
    await again.close()
    sealed.folder.database.write_bytes(b"no database")
    with pytest.raises(SpoolUnusable, match="no key was given"):
        await Spool.open(sealed.folder.path, SystemClock())
    assert len(list(sealed.folder.path.glob("spool.damaged-*"))) == 1, (
        "a start without the key sets nothing aside"
    )


def test_no_two_contents_are_sealed_alike_and_none_opens_elsewhere() -> None:
    one, other = Seal(KEY), Seal(KEY)
    sealed = {one.close(b"same", "body", "j", 1) for _ in range(50)} | {other.close(b"same", "body", "j", 1)}
    assert len(sealed) == 51
    assert all(Seal(KEY).open(each, "body", "j", 1) == b"same" for each in sealed)
    for each in sealed:
        assert one.open(each, "body", "j", 2) is None
        assert one.open(each[:-1], "body", "j", 1) is None
        assert one.open(each[:20], "body", "j", 1) is None
        assert Seal(bytes(32)).open(each, "body", "j", 1) is None
        assert Seal().open(each, "body", "j", 1) is None
    for first in (b"{}", pack([]), "ÿ".encode(), b""):
        assert not is_sealed(first)


def environment(tmp_path: Path, content: bytes, mode: int = 0o600) -> dict[str, str]:
    file = tmp_path / "spool_key"
    file.write_bytes(content)
    file.chmod(mode)
    return {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://h", "SPOOL_KEY_FILE": str(file)}


@pytest.mark.parametrize("content", [KEY, KEY.hex().encode(), KEY.hex().encode() + b"\n"])
def test_a_key_is_32_bytes_or_their_digits_from_a_file_or_from_systemd(
    tmp_path: Path, content: bytes
) -> None:
    env = environment(tmp_path, content)
    assert read(env, tmp_path / "spool", None, None).seal.key_id == Seal(KEY).key_id
    del env["SPOOL_KEY_FILE"]
    assert read(env, tmp_path / "spool", None, None).seal.key_id == ""
    env["CREDENTIALS_DIRECTORY"] = str(tmp_path)
    assert read(env, tmp_path / "spool", None, None).seal.key_id == Seal(KEY).key_id


@pytest.mark.parametrize(
    ("content", "mode", "spool", "said"),
    [
        (b"short", 0o600, "spool", "openssl rand -hex 32"),
        (b"\xff" * 41, 0o600, "spool", "64 hexadecimal digits"),
        (KEY, 0o604, "spool", "chmod 600"),
        (KEY, 0o600, ".", "lies in the spool itself"),
    ],
)
def test_a_key_that_protects_nothing_is_refused_by_name(
    tmp_path: Path, content: bytes, mode: int, spool: str, said: str
) -> None:
    with pytest.raises(ConfigError, match=said) as refused:
        read(environment(tmp_path, content, mode), tmp_path / spool, None, None)
    assert "SPOOL_KEY_FILE" in str(refused.value)


async def test_sealing_in_many_threads_uses_no_number_twice() -> None:
    seal = Seal(KEY)
    sealed = await asyncio.gather(*(asyncio.to_thread(seal.close, b"x", "p") for _ in range(200)))
    assert len({one[:60] for one in sealed}) == 200
