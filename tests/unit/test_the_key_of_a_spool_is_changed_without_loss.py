"""`agent spool rekey`, and what older releases left: whatever ends it, the old or the new key opens all."""

import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.clock import SystemClock
from agent.errors import SpoolUnusable
from agent.spool.blobs import Blobs
from agent.spool.folder import Folder
from agent.spool.key_note import COPY, NOTE, Note, opened
from agent.spool.recovery import open_database
from agent.spool.sealing import Seal
from agent.spool.spool import MIGRATIONS, Spool
from dev_tools.places import ROOT
from tests.crash_states.judge import fast_folder
from tests.unit.filled_spool import (
    KEY,
    credentials_are_as_filled,
    fill,
    fill_credentials,
    found_in,
    is_as_filled,
    seal_key_file,
)

NEW_KEY = bytes(reversed(KEY))
Make = Callable[[Path], Awaitable[str]]  # a filled spool; the id of its device's key


async def of_today(path: Path) -> str:
    return await made(await Spool.open(path, SystemClock(), seal=Seal(KEY)))


async def without_a_key(path: Path) -> str:
    return await made(await Spool.open(path, SystemClock()))


async def of_an_older_release(path: Path) -> str:
    """The operator's key sealed all but the credentials itself, and `key-id` held its id alone."""
    folder, seal = Folder(path), Seal(KEY)
    (path / NOTE).write_text(f"{seal.key_id}\n")
    database = await open_database(folder, MIGRATIONS, damaged=False)
    spool = Spool(folder, Blobs(folder.blobs, seal), database, SystemClock(), None, seal)
    return await made(spool, in_clear=True)


async def made(spool: Spool, *, in_clear: bool = False) -> str:
    await fill(spool)
    device = fill_credentials(spool.folder.path, Seal() if in_clear else spool.seal)
    await spool.close()
    return device


async def is_whole(path: Path, device: str, key: bytes) -> bool:
    spool = await Spool.open(path, SystemClock(), seal=Seal(key))
    try:
        return credentials_are_as_filled(spool, device) and await is_as_filled(spool)
    finally:
        await spool.close()


def own_keys(path: Path, key: bytes) -> tuple[bytes, ...]:
    return opened(path, Seal(key)).keys


@pytest.fixture
def keys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The words of a rekey, from `SPOOL_KEY_FILE` to a new key."""
    monkeypatch.setenv("SPOOL_KEY_FILE", str(seal_key_file(tmp_path, KEY)))
    return ["spool", "rekey", "--new-key", str(seal_key_file(tmp_path, NEW_KEY, "new-key"))]


@pytest.fixture
def in_memory() -> Iterator[Path]:
    """A folder whose fsync is free: a process that dies takes nothing along that it has written."""
    with tempfile.TemporaryDirectory(prefix="orvanta-keys-", dir=fast_folder()) as folder:
        yield Path(folder)


def tool(path: Path, *words: str) -> tuple[int, str]:
    with redirect_stdout(StringIO()) as said, redirect_stderr(said):
        code = main([*words, "--spool", str(path)])
    return code, said.getvalue()


@pytest.mark.parametrize("make", [of_today, of_an_older_release])
async def test_a_new_key_opens_all_and_the_old_one_nothing(
    make: Make, tmp_path: Path, keys: list[str]
) -> None:
    path = tmp_path / "spool"
    device = await make(path)
    before = opened(path, Seal(KEY))
    assert tool(path, *keys)[0] == 0
    assert found_in(path) == []
    with pytest.raises(SpoolUnusable, match="is sealed with the key"):
        await Spool.open(path, SystemClock(), seal=Seal(KEY))
    assert len(own_keys(path, NEW_KEY)) == 1
    kept = [file.read_bytes() for file in path.rglob("*") if file.is_file()]
    assert not any(bytes.fromhex(before.key_id) in content for content in kept), "nothing of the old key"
    assert await is_whole(path, device, NEW_KEY)
    assert "0 rows and 0 documents" in tool(path, *keys)[1], "called again it has nothing to do"


@pytest.mark.parametrize(
    ("make", "words"),
    [(of_an_older_release, "rekey"), (without_a_key, "seal")],
)
async def test_a_kill_at_any_write_loses_nothing_and_the_next_call_goes_on(
    make: Make, words: str, in_memory: Path, keys: list[str]
) -> None:
    command = keys if words == "rekey" else ["spool", "seal"]
    last_key = NEW_KEY if words == "rekey" else KEY
    device = await make(in_memory / "spool")
    deaths = killed_in_turn(in_memory / "spool", in_memory / "copies", command)
    assert len(deaths) > 20
    by = []
    for number, path in enumerate(deaths):
        if number % 2:  # an agent in between
            by.append(KEY if opens_by(path, KEY) else last_key)
            assert await is_whole(path, device, by[-1]), f"killed before write {number}"
        assert tool(path, *command)[0] == 0, f"killed before write {number}"
        assert found_in(path) == []
        assert await is_whole(path, device, last_key), f"killed before write {number}"
        assert len(own_keys(path, last_key)) == 1
    assert by == sorted(by, key=[KEY, NEW_KEY].index), "there is one moment of change"
    assert set(by) == {KEY, last_key}


def killed_in_turn(spool: Path, copies: Path, command: list[str]) -> list[Path]:
    """One copy for each death, in their order."""
    copies.mkdir()
    driver = [sys.executable, "-m", "tests.support.killed_in_turn", str(spool), str(copies)]
    ended = subprocess.run(
        [*driver, "agent", *command, "--spool"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    return sorted((path for path in copies.iterdir() if path.name.isdigit()), key=lambda path: int(path.name))


def opens_by(path: Path, key: bytes) -> bool:
    try:
        opened(path, Seal(key))
    except SpoolUnusable:
        return False
    return True


async def test_what_was_set_aside_still_has_its_key(tmp_path: Path, keys: list[str]) -> None:
    path = tmp_path / "spool"
    device = await of_today(path)
    (before,) = own_keys(path, KEY)
    damaged = await Spool.open(path, SystemClock(), seal=Seal(KEY), damaged=True)
    await damaged.close()
    assert "spool purge --set-aside" in tool(path, *keys)[1]
    assert before in own_keys(path, NEW_KEY)
    assert tool(path, "spool", "purge", "--set-aside")[0] == 0
    assert tool(path, *keys)[0] == 0
    assert before not in own_keys(path, NEW_KEY)
    assert await is_whole(path, device, NEW_KEY)


async def test_what_is_damaged_stays_so_and_is_named(
    tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "spool"
    await of_today(path)
    (document,) = (path / "blobs").iterdir()
    document.write_bytes(document.read_bytes()[:-1])
    with sqlite3.connect(path / "spool.db") as database:
        database.execute("UPDATE held SET body = CAST(body || x'00' AS BLOB) WHERE job_id = 'next'")
        database.execute("UPDATE log_chunk SET text = CAST(text || x'00' AS BLOB)")
        database.execute("UPDATE meta SET value = CAST(value || x'00' AS BLOB) WHERE key = 'enrolment'")
    database.close()
    (path / "token").write_bytes((path / "token").read_bytes()[:-1])
    assert tool(path, *keys)[0] == 0
    monkeypatch.setenv("SPOOL_KEY_FILE", keys[-1])
    said = tool(path, "spool", "verify")[1]
    assert said.count("damaged:") == 2
    assert "job next attempt 1: the job's bytes" in said
    assert "the document of its result" in said
    spool = await Spool.open(path, SystemClock(), seal=Seal(NEW_KEY))
    assert [chunk.text for chunk in await spool.pending_log(10)] == [""]
    assert await spool.get_meta("enrolment") is None
    await spool.close()


async def test_a_rekey_that_cannot_be_says_why_in_a_line_and_changes_nothing(
    tmp_path: Path, keys: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    path, plain = tmp_path / "spool", tmp_path / "plain"
    await of_today(path)
    await without_a_key(plain)
    before = contents_of(path)
    monkeypatch.setenv("SPOOL_KEY_FILE", str(seal_key_file(tmp_path, bytes(32), "another")))
    for refused, said in (
        (tool(path, *keys), "is sealed with the key"),
        (tool(plain, *keys), "is not sealed yet"),
        (tool(path, *keys[:3], str(path / NOTE)), "--new-key: "),
    ):
        assert (refused[0], refused[1].count("\n")) == (2, 1)
        assert said in refused[1]
    monkeypatch.delenv("SPOOL_KEY_FILE")
    assert "no key was given" in tool(path, *keys)[1]
    assert contents_of(path) == before
    (path / COPY).unlink()
    (path / COPY).mkdir()
    monkeypatch.setenv("SPOOL_KEY_FILE", str(tmp_path / "key"))
    code, said = tool(path, *keys)
    assert (code, said.count("\n")) == (2, 1)


def contents_of(folder: Path) -> dict[Path, bytes]:
    return {file: file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@pytest.mark.parametrize("damage", [None, "", "zz zz zz\n", "0123456789abcdef c101 00000000\n"])
async def test_the_keys_are_kept_twice_and_both_are_mended(damage: str | None, tmp_path: Path) -> None:
    path = tmp_path / "spool"
    device = await of_today(path)
    for name in (NOTE, COPY):
        whole = (path / name).read_text()
        (path / name).unlink() if damage is None else (path / name).write_text(damage)
        assert await is_whole(path, device, KEY)
        assert (path / name).read_text() == whole
    for name in (NOTE, COPY):
        (path / name).unlink() if damage is None else (path / name).write_text(damage)
    before = contents_of(path)
    for seal in (Seal(KEY), Seal()):
        with pytest.raises(SpoolUnusable, match="put one of them back from a copy") as refused:
            await Spool.open(path, SystemClock(), seal=seal)
        assert "\n" not in str(refused.value)
    assert {file: before[file] for file in before if file.name not in ("lock", "probe")} == {
        file: content for file, content in contents_of(path).items() if file.name not in ("lock", "probe")
    }


async def test_keys_that_the_operators_key_did_not_wrap_are_none(tmp_path: Path) -> None:
    path = tmp_path / "spool"
    await of_today(path)
    forged = Note(Seal(KEY).key_id, (Seal(bytes(32)).close(bytes(32), "key of the spool"),))
    for name in (NOTE, COPY):
        (path / name).write_text(forged.text())
    with pytest.raises(SpoolUnusable, match="gone or damaged"):
        await Spool.open(path, SystemClock(), seal=Seal(KEY))
