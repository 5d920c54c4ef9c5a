"""`python -m agent support-bundle`: one file that says how a site is set up and how it is.

That it has no secret is shown by `test_no_secret_gets_into_what_a_process_says.py`.
"""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from agent.__main__ import main
from agent.clock import SystemClock
from agent.site.bundle import LOG_LINES, settings_of
from agent.site.redaction import redacted
from agent.spool.spool import MIGRATIONS, Spool

SETTINGS = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://127.0.0.1:1"}


@pytest.fixture(autouse=True)
def _settings(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in SETTINGS.items():
        monkeypatch.setenv(name, text)


async def make(folder: Path) -> None:
    spool = await Spool.open(folder, SystemClock())
    (spool.folder.blobs / "one").write_bytes(bytes(10))
    (folder / "spool.damaged-1").mkdir()
    await spool.close()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    asyncio.run(make(tmp_path / "spool"))
    return tmp_path / "spool"


def written(spool: Path, *words: str) -> dict[str, Any]:
    out = spool.parent / "out.json"
    assert main(["support-bundle", "--spool", str(spool), "--out", str(out), *words]) == 0
    assert out.stat().st_mode & 0o077 == 0
    told: dict[str, Any] = json.loads(out.read_text())
    return told


def test_it_tells_of_settings_versions_status_doctor_and_spool(spool: Path) -> None:
    told = written(spool, "--slots", "3")
    assert (
        told["settings"].items()
        >= {"BASE_INTERNAL_URL": "http://127.0.0.1:1", "AGENT_TOKEN": "(set)"}.items()
    )
    assert told["options"] == {"spool": str(spool), "slots": "3"}
    assert {"orvanta-edge", "python", "sqlite", "httpx", "aio-pika"} <= told["versions"].keys()
    assert told["status"]["agent"] == "not running"
    assert "cluster port" in [one["name"] for one in told["doctor"]["checks"] if one["verdict"] == "fail"]
    assert told["spool"]["schema_version"] == len(MIGRATIONS)
    tables = ("held", "log_chunk", "seen", "quarantine", "meta", "script_state")
    assert told["spool"]["rows"] == dict.fromkeys(tables, 0)
    assert "CREATE TABLE held" in told["spool"]["tables"]["held"]
    assert told["spool"]["documents"] == {"count": 1, "bytes": 10}
    assert told["spool"]["set_aside"] == ["spool.damaged-1"]
    assert told["log"] == []


def test_it_ends_with_the_last_lines_of_the_log(spool: Path) -> None:
    log = spool.parent / "log"
    log.write_text("".join(f"line {number}\n" for number in range(2 * LOG_LINES)))
    assert written(spool, "--log", str(log))["log"][-2:] == ["line 998", "line 999"]


def test_or_with_those_of_the_journal(spool: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the process that the spool names."""
    journal = spool.parent / "journalctl"
    journal.write_text('#!/bin/sh\necho "$1"\n')
    journal.chmod(0o755)
    pid = (spool / "lock").read_text().strip()
    monkeypatch.setenv("PATH", f"{spool.parent}:/usr/bin:/bin")
    assert written(spool)["log"] == [f"_PID={pid}"]
    (spool.parent / "out.json").unlink()
    (spool / "lock").write_text("")
    assert written(spool)["log"] == []


def test_it_is_written_where_there_is_no_spool(tmp_path: Path) -> None:
    told = written(tmp_path / "none")
    assert "there is no spool" in told["spool"]["error"]
    assert "there is no spool" in told["status"]["error"]


def test_it_writes_over_nothing(spool: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = spool.parent / "out.json"
    out.write_text("mine")
    for words, said in (
        (["--out", str(out)], "is there already; name a new file"),
        (["--out", str(spool / "none" / "out")], "cannot write"),
        (["--out", str(spool.parent / "new"), "--log", "/nowhere/log"], "--log /nowhere/log cannot be read"),
        ([], "needs --out FILE"),
    ):
        assert main(["support-bundle", "--spool", str(spool), *words]) == 2
        assert said in capsys.readouterr().err
    assert out.read_text() == "mine"


def test_settings_are_ours_by_name() -> None:
    told = settings_of({"http_proxy": "user:password-1@proxy:3128", "HOME": "/root", "NO_PROXY": "a,b"})
    assert told == {"HTTP_PROXY": "***@proxy:3128", "NO_PROXY": "a,b", "AGENT_TOKEN": "(not set)"}


@pytest.mark.parametrize(
    ("text", "left"),
    [
        ("jwt_agent_north_eyJhbGci.eyJzdWIi.c2ln~eyJ0.a.b", "***"),
        ("amqps://agent:pass%2Fword@rabbit:5671/v", "amqps://***@rabbit:5671/v"),
        ("Authorization: bearer abc.def", "Authorization: bearer ***"),
        ('{"db_password": "abc", "port": 1}', '{"db_password": "***", "port": 1}'),
        ("api-key=abc&a=b", "api-key=***&a=b"),
        ("-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----", "***"),
        ("link.up reason=", "link.up reason="),
    ],
)
def test_what_looks_secret_is_taken_out_and_nothing_else(text: str, left: str) -> None:
    assert redacted({"a": [text, 1, None]}) == {"a": [left, 1, None]}
