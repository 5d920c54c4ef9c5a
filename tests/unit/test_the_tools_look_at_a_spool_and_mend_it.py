"""`python -m agent spool`: what it shows, carries, mends and refuses, on a real spool."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import pytest

from agent.__main__ import main
from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.spool.recovery import UNFINISHED
from agent.spool.spool import Spool
from agent.spool.tools.export import INLINE_BYTES
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Delivery, Job, Result
from dev_tools.places import ROOT
from tests.support.world import environment

LARGE = b'"' + b"x" * BLOB_PART_BYTES + b'"'
MIDDLE = b'"' + b"y" * INLINE_BYTES + b'"'
DOCUMENTS = {"done": b'{"sum": 7}', "large": LARGE, "sent": b"1"}


@dataclass(frozen=True)
class Ended:
    returncode: int
    stdout: str
    stderr: str


def tool(spool: Spool | Path, *words: str) -> Ended:
    """The command line in this process, because to start one a second takes longer than the tests."""
    path = spool if isinstance(spool, Path) else spool.folder.path
    with redirect_stdout(StringIO()) as out, redirect_stderr(StringIO()) as err:
        code = main(["spool", *words, "--spool", str(path)])
    return Ended(code, out.getvalue(), err.getvalue())


def key(name: str) -> tuple[JobId, Attempt]:
    return (JobId(name), Attempt(1))


async def finish(book: Book, name: str, document: bytes) -> None:
    await book.apply(key(name), Event.STARTED)
    result = Result(
        job_id=JobId(name), attempt=Attempt(1), workspace="main", success=True, document=document,
        finished_at=1.0,
    )  # fmt: skip
    await book.finish(key(name), Event.EXITED, result)


async def hold(book: Book, name: str, delivery: Delivery = Delivery.AT_LEAST_ONCE) -> None:
    job = Job(
        job_id=JobId(name), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash", code="x",
        args=b"{}", delivery=delivery,
    )  # fmt: skip
    await book.hold(job, pack([job]))


@pytest.fixture
async def spool(tmp_path: Path) -> AsyncIterator[Spool]:
    """Two results that wait, one that is sent, one job that has not started; the agent "runs"."""
    opened = await Spool.open(tmp_path / "spool", SystemClock())
    book = Book(opened, SystemClock())
    for name, document in DOCUMENTS.items():
        await hold(book, name)
        await finish(book, name, document)
    await book.note_sent([key("sent")])
    await hold(book, "next")
    yield opened
    await opened.close()


def damage(spool: Spool, sql: str) -> None:
    database = sqlite3.connect(spool.folder.database)
    database.executescript(sql)
    database.commit()
    database.close()


def states(spool: Spool) -> dict[str, str]:
    lines = tool(spool, "ls", "--json").stdout.splitlines()
    return {row["job_id"]: row["state"] for row in map(json.loads, lines)}


async def test_ls_shows_what_is_held_beside_the_agent(spool: Spool) -> None:
    assert states(spool) == {"done": "finished", "large": "finished", "sent": "sent", "next": "ready"}
    text = tool(spool, "ls").stdout
    assert "2 finished" in text
    (row,) = map(json.loads, tool(spool, "ls", "--json", "--state", "sent").stdout.splitlines())
    assert row["tag"] == "t"
    sizes = {
        row["job_id"]: row["size_bytes"]
        for row in map(json.loads, tool(spool, "ls", "--json").stdout.splitlines())
    }
    assert sizes["large"] > len(LARGE) > sizes["done"] > 0


async def test_ls_shows_it_after_the_agent_has_ended(spool: Spool) -> None:
    await spool.close()
    assert len(states(spool)) == 4


async def test_verify_finds_a_whole_spool_whole(spool: Spool) -> None:
    ended = tool(spool, "verify")
    assert (ended.returncode, ended.stdout) == (0, "checked 1 documents, 4 jobs, 3 results: all whole\n")


@pytest.mark.parametrize(
    ("sql", "said"),
    [
        ("UPDATE held SET body = x'00' WHERE job_id = 'next'", "job next attempt 1: the job's bytes"),
        ("UPDATE held SET result = x'00' WHERE job_id = 'done'", "job done attempt 1: its result"),
        ("UPDATE held SET result_crc = 'text' WHERE job_id = 'done'", "job done attempt 1: its result"),
    ],
)
async def test_verify_names_a_damaged_row_and_the_mend(spool: Spool, sql: str, said: str) -> None:
    damage(spool, sql)
    ended = tool(spool, "verify")
    assert ended.returncode == 1
    assert said in ended.stdout
    assert "the agent " in ended.stdout
    (damaged,) = json.loads(tool(spool, "verify", "--json").stdout)["damaged"]
    assert damaged["what"].startswith(said)


async def test_verify_finds_a_damaged_document_and_a_damaged_file(spool: Spool) -> None:
    (document,) = spool.folder.blobs.iterdir()
    document.write_bytes(LARGE[:-2])
    assert "job large attempt 1: the document of its result" in tool(spool, "verify").stdout
    await spool.close()
    content = bytearray(spool.folder.database.read_bytes())
    content[4096 * 2 : 4096 * 3] = b"\xff" * 4096
    spool.folder.database.write_bytes(content)
    ended = tool(spool, "verify")
    assert ended.returncode == 1
    assert "damaged: the database: " in ended.stdout
    assert "Traceback" not in ended.stderr


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


async def test_what_takes_long_says_how_far_it_is_on_a_terminal(spool: Spool, tmp_path: Path) -> None:
    path = str(spool.folder.path)
    for words, said in ((["export", "--to", str(tmp_path / "out")], "exporting"), (["verify"], "checking")):
        with redirect_stdout(StringIO()) as out, redirect_stderr(Terminal()) as terminal:
            assert main(["spool", *words, "--spool", path]) == 0
        assert said in terminal.getvalue()
        assert "100%" in terminal.getvalue()
        assert "%" not in out.getvalue()


async def test_export_carries_every_result_and_quarantined_row(spool: Spool, tmp_path: Path) -> None:
    book = Book(spool, SystemClock())
    await hold(book, "middle")
    await finish(book, "middle", MIDDLE)
    await spool.quarantine(key("next"), "it is odd")
    ended = tool(spool, "export", "--to", str(tmp_path / "out"))
    assert (ended.returncode, ended.stderr) == (0, "")
    lines = map(json.loads, (tmp_path / "out" / "results.jsonl").read_text().splitlines())
    rows = {row["job_id"]: row for row in lines}
    assert rows["done"]["result"] == {"sum": 7}
    assert (tmp_path / "out" / rows["large"]["file"]).read_bytes() == LARGE
    assert (tmp_path / "out" / rows["middle"]["file"]).read_bytes() == MIDDLE
    assert {name: row["state"] for name, row in rows.items()} == {
        "done": "finished", "large": "finished", "middle": "finished", "sent": "sent",
    }  # fmt: skip
    (quarantined,) = map(json.loads, (tmp_path / "out" / "quarantine.jsonl").read_text().splitlines())
    assert quarantined["what"] == "it is odd"
    assert (tmp_path / "out").stat().st_mode & 0o077 == 0
    again = tool(spool, "export", "--to", str(tmp_path / "out"))
    assert (again.returncode, len(again.stderr.splitlines())) == (2, 1)
    file = tool(spool, "export", "--to", str(tmp_path / "out" / "results.jsonl" / "below"))
    assert (file.returncode, "name another folder with --to" in file.stderr) == (2, True)


async def test_export_keeps_the_bytes_of_a_damaged_result(spool: Spool, tmp_path: Path) -> None:
    damage(spool, "UPDATE held SET result = x'0102' WHERE job_id = 'done'")
    assert tool(spool, "export", "--to", str(tmp_path / "out")).returncode == 1
    assert (tmp_path / "out" / "documents" / "done-1.damaged").read_bytes() == b"\x01\x02"


async def test_requeue_sends_a_sent_result_again(spool: Spool) -> None:
    await spool.close()
    assert tool(spool, "requeue", "sent").returncode == 0
    assert states(spool)["sent"] == "finished"
    again = await Spool.open(spool.folder.path, SystemClock())
    kept = await again.result(key("sent"))
    await again.close()
    assert kept is not None
    assert kept.document == b"1"


async def test_requeue_tries_a_quarantined_job_again_whose_bytes_are_whole(spool: Spool) -> None:
    await spool.quarantine(key("next"), "the row made no sense")
    await spool.close()
    ended = tool(spool, "requeue", "--all")
    assert ended.stdout == "all: 3 results will be sent, 1 quarantined jobs will be tried again\n"
    assert states(spool)["next"] == "ready"
    again = await Spool.open(spool.folder.path, SystemClock())
    assert await again.job(key("next")) is not None
    await again.close()


async def test_requeue_refuses_what_must_not_run(spool: Spool) -> None:
    """I2, I4: nothing that may have run once already, and no bytes that nobody signed."""
    book = Book(spool, SystemClock())
    await hold(book, "once", Delivery.AT_MOST_ONCE)
    await hold(book, "told")
    await spool.quarantine(key("once"), "odd")
    await spool.quarantine(key("told"), "odd")
    await spool.quarantine(key("next"), "odd")
    damage(spool, "UPDATE quarantine SET bytes = x'00' WHERE job_id = 'next'")
    damage(spool, "UPDATE quarantine SET reported = 1 WHERE job_id = 'told'")
    await spool.close()
    for name, why in (
        ("once", "only once"), ("told", "sent it again already"), ("next", "its bytes are damaged"),
    ):  # fmt: skip
        ended = tool(spool, "requeue", name)
        assert (ended.returncode, why in ended.stderr) == (2, True), ended.stderr
        assert states(spool)[name] == "quarantine"
    ended = tool(spool, "requeue", "--all")
    assert [line.rpartition(": ")[2] for line in ended.stdout.splitlines()] == [
        "it may run only once, and it may have been started.",
        "the bridge has been told and has sent it again already.",
        "its bytes are damaged.",
        "3 results will be sent, 0 quarantined jobs will be tried again",
    ]


async def test_purge_loses_an_unsent_result_only_by_name_and_with_force(spool: Spool) -> None:
    await spool.close()
    refused = tool(spool, "purge", "--job", "large")
    assert refused.returncode == 2
    assert "let the agent send it, or say --force" in refused.stderr
    assert states(spool)["large"] == "finished"
    assert tool(spool, "purge", "--job", "sent").returncode == 0
    assert tool(spool, "purge", "--job", "large", "--force").returncode == 0
    assert set(states(spool)) == {"done", "next"}
    assert not list(spool.folder.blobs.iterdir())


async def test_a_spool_whose_rows_are_not_all_carried_over_is_left_to_its_agent(spool: Spool) -> None:
    await spool.close()
    (spool.folder.path / UNFINISHED).mkdir()
    for words in (("ls",), ("purge", "--quarantine")):
        refused = tool(spool, *words)
        assert refused.returncode == 2
        assert "start the agent" in refused.stderr


async def test_purge_removes_quarantine_memory_and_what_was_set_aside(spool: Spool) -> None:
    await spool.quarantine(key("next"), "odd")
    (spool.folder.path / "spool.damaged-x").mkdir()
    (spool.folder.path / "spool.damaged-x" / "spool.db").write_text("")
    await spool.close()
    unheard = tool(spool, "purge", "--quarantine")
    assert (unheard.returncode, "has not heard" in unheard.stderr) == (2, True)
    damage(spool, "UPDATE quarantine SET reported = 1")
    damage(spool, "INSERT INTO seen VALUES ('old', 1, 9 * 86400), ('new', 1, 11 * 86400)")
    damage(spool, "INSERT OR REPLACE INTO meta VALUES ('lived_s', 100 * 86400)")
    assert tool(spool, "purge", "--seen").returncode == 2
    ended = tool(spool, "purge", "--quarantine", "--set-aside", "--seen", "--older-than", "90")
    assert ended.stdout.splitlines() == [
        "1 quarantined rows removed",
        "1 entries of the memory of what was here removed",
        "1 folders of set-aside spools removed",
    ]
    assert "next" not in states(spool)
    assert not list(spool.folder.path.glob("spool.damaged-*"))


@pytest.mark.parametrize("words", [["requeue", "--all"], ["purge", "--quarantine"]])
async def test_what_changes_a_spool_needs_its_agent_stopped(spool: Spool, words: list[str]) -> None:
    ended = tool(spool, *words)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert "Stop the agent" in line


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["requeue"], "say --all"),
        (["requeue", "nobody"], "job nobody is not in this spool"),
        (["requeue", "next"], "job next is ready"),
        (["purge"], "say what to purge"),
        (["purge", "--job", "nobody"], "job nobody is not in this spool"),
        (["export"], "--to"),
        (["mend"], "invalid choice"),
        (["purge", "--older-than", "x"], "--older-than"),
    ],
)
async def test_bad_input_is_one_line_with_the_mend(spool: Spool, words: list[str], said: str) -> None:
    await spool.close()
    ended = tool(spool, *words)
    assert ended.returncode == 2
    (line,) = ended.stderr.splitlines()
    assert said in line


def test_a_folder_without_a_spool_is_named(tmp_path: Path) -> None:
    for words in (["ls"], ["verify"], ["requeue", "--all"]):
        ended = tool(tmp_path / "none", *words)
        assert ended.returncode == 2
        assert ended.stderr.startswith(f"there is no spool in {tmp_path / 'none'}")
    assert not (tmp_path / "none").exists()


def test_it_is_started_as_a_module(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "agent", "spool", "ls", "--spool", str(tmp_path)]
    ended = subprocess.run(
        command, env=environment({}), cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (ended.returncode, len(ended.stderr.splitlines())) == (2, 1)


async def test_ls_shows_what_stands_aside(spool: Spool) -> None:
    assert tool(spool, "ls", "--state", "quarantine").stdout == "nothing is held\n"
    await spool.quarantine(key("next"), "it is odd")
    (spool.folder.path / "spool.damaged-x").mkdir()
    held, said, aside = tool(spool, "ls", "--state", "quarantine").stdout.splitlines()
    assert "next" in held
    assert said.startswith("1 quarantine")
    assert aside == "set aside: spool.damaged-x"
    notes = [line for line in tool(spool, "verify").stdout.splitlines() if line.startswith("note: ")]
    assert notes == [
        "note: job next attempt 1 is in quarantine: it is odd", "note: spool.damaged-x was set aside",
    ]  # fmt: skip


async def test_verify_finds_an_index_that_does_not_name_a_row(spool: Spool) -> None:
    damage(
        spool,
        "PRAGMA writable_schema = ON;"
        "UPDATE sqlite_schema SET sql = replace(sql, '''sent''', '''ready''') WHERE name = 'held_sent'",
    )
    ended = tool(spool, "verify")
    assert ended.returncode == 1
    assert "damaged: the database: row" in ended.stdout
    assert "missing from index held_sent" in ended.stdout


async def test_a_document_that_is_gone_is_missed(spool: Spool, tmp_path: Path) -> None:
    (document,) = spool.folder.blobs.iterdir()
    document.unlink()
    assert "job large attempt 1: the document of its result" in tool(spool, "verify").stdout
    ended = tool(spool, "export", "--to", str(tmp_path / "out"))
    assert ended.returncode == 1
    assert ended.stdout.endswith("1 of them are damaged\n")


async def test_a_spool_that_is_no_database_is_named_with_the_mend(spool: Spool) -> None:
    await spool.close()
    spool.folder.database.write_bytes(b"noise" * 1000)
    for words, said in ((["ls"], "cannot be read"), (["requeue", "--all"], "cannot be changed")):
        ended = tool(spool, *words)
        assert ended.returncode == 2
        assert said in ended.stderr
        assert "start the agent: it sets aside" in ended.stderr


async def test_a_spool_that_cannot_be_locked_is_not_changed(spool: Spool) -> None:
    await spool.close()
    (spool.folder.path / "lock").unlink()
    (spool.folder.path / "lock").mkdir()
    ended = tool(spool, "purge", "--set-aside")
    assert (ended.returncode, "cannot be used" in ended.stderr) == (2, True)
