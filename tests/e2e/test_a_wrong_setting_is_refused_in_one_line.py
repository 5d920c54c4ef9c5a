"""A missing or bad setting: one line on stderr that names it and the mend, exit code 2.

Most of them call the `main` of our programs in this process: starting Python for each would take longest.
"""

import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import jwt
import pytest

from agent.__main__ import main as agent
from bridge.__main__ import main as bridge
from dev_tools.places import ROOT
from tests.support.world import environment

TOKEN = "jwt_agent_a.b.c"
HERE = "http://127.0.0.1:9"
BROKER = "amqp://127.0.0.1:9/"


def run(command: list[str], settings: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", *command],
        env=environment(settings), cwd=ROOT, capture_output=True, text=True, timeout=20, check=False,
    )  # fmt: skip


class Here:
    """A program of ours with these settings alone, as `python -m` would call it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
        self._monkeypatch = monkeypatch
        self._capsys = capsys

    def refuses(
        self, main: Callable[[Sequence[str]], int], argv: list[str], settings: dict[str, str], *names: str
    ) -> None:
        self._monkeypatch.setattr(os, "environ", environment(settings))
        code = main(argv)
        refused(subprocess.CompletedProcess(argv, code, "", self._capsys.readouterr().err), *names)


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Here:
    return Here(monkeypatch, capsys)


def upstream(*tags: object, exp: int | None = 2_000_000_000) -> str:
    """An agent token, as far as anybody but its cluster can tell."""
    return "jwt_agent_" + jwt.encode({"worker_group": "relay", "tags": tags, "exp": exp}, "x" * 32)


def refused(ended: subprocess.CompletedProcess[str], *names: str) -> None:
    assert ended.returncode == 2, ended.stderr
    (line,) = ended.stderr.splitlines()
    for name in names:
        assert name in line


@pytest.mark.parametrize(
    ("settings", "names"),
    [
        ({"BASE_INTERNAL_URL": HERE}, ("AGENT_TOKEN", "missing")),
        ({"BASE_INTERNAL_URL": HERE, "AGENT_TOKEN": "secret"}, ("AGENT_TOKEN",)),
        ({"AGENT_TOKEN": TOKEN}, ("BASE_INTERNAL_URL", "missing")),
        (
            {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": "orvanta.example.com"},
            ("BASE_INTERNAL_URL", "https://"),
        ),
        ({"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": HERE, "MODE": "worker"}, ("MODE", "worker")),
        (
            {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": HERE, "SPOOL_QUOTA_MB": "1 GB"},
            ("SPOOL_QUOTA_MB", "megabytes", "1 GB"),
        ),
        (
            {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": HERE, "SPOOL_FLOOR_MB": "-5"},
            ("SPOOL_FLOOR_MB", "-5"),
        ),
    ],
)
def test_by_the_agent(here: Here, tmp_path: Path, settings: dict[str, str], names: tuple[str, ...]) -> None:
    here.refuses(agent, ["--spool", str(tmp_path / "spool")], settings, *names)
    assert not (tmp_path / "spool").exists()


@pytest.mark.parametrize("flag", ["--slots", "--ahead"])
def test_by_the_agent_for_a_flag(here: Here, tmp_path: Path, flag: str) -> None:
    settings = {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": HERE}
    here.refuses(agent, ["--spool", str(tmp_path), flag, "0"], settings, flag, "0")


@pytest.mark.parametrize(
    ("command", "settings", "names"),
    [
        ("serve", {"PUBLIC_AMQP_URL": BROKER}, ("AMQP_URL", "missing")),
        ("relay", {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": HERE}, ("AMQP_URL", "missing")),
        ("serve", {"AMQP_URL": "http://127.0.0.1"}, ("AMQP_URL", "amqp://")),
        ("serve", {"AMQP_URL": BROKER, "BRIDGE_PORT": "many"}, ("BRIDGE_PORT", "many")),
        ("serve", {"AMQP_URL": BROKER, "READY_MAX": "0"}, ("READY_MAX", "0")),
        ("serve", {"AMQP_URL": BROKER, "LOST_AFTER_S": "3"}, ("LOST_AFTER_S", "15", "3")),
        ("serve", {"AMQP_URL": BROKER, "TAG_POLICIES": '{"a": {"lost": 1}}'}, ("TAG_POLICIES", "lost")),
        ("serve", {"METRICS_TOKEN": "short"}, ("METRICS_TOKEN", "16")),
        ("serve", {"METRICS_PER_WORKER": "yes"}, ("METRICS_PER_WORKER", "yes")),
        ("serve", {"WORKER_GROUP": "a b"}, ("WORKER_GROUP", "a b")),
        ("worker", {"BRIDGE_STORE": "shop.db"}, ("DATABASE_URL", "PostgreSQL", "shop.db", "--worker-tags")),
        ("relay", {"AMQP_URL": BROKER, "AGENT_TOKEN": TOKEN}, ("BASE_INTERNAL_URL", "missing")),
        ("relay", {"AMQP_URL": BROKER, "BASE_INTERNAL_URL": HERE}, ("AGENT_TOKEN", "missing")),
        (
            "relay",
            {"AMQP_URL": BROKER, "BASE_INTERNAL_URL": HERE, "AGENT_TOKEN": f"{upstream('a')},secret"},
            ("AGENT_TOKEN", "token 2 of 2"),
        ),
        (
            "relay",
            {"AMQP_URL": BROKER, "BASE_INTERNAL_URL": HERE, "AGENT_TOKEN": upstream()},
            ("AGENT_TOKEN", "tags"),
        ),
        (
            "relay",
            {"AMQP_URL": BROKER, "BASE_INTERNAL_URL": HERE, "AGENT_TOKEN": upstream(["a"])},
            ("AGENT_TOKEN", "no texts"),
        ),
        (
            "relay",
            {"AMQP_URL": BROKER, "BASE_INTERNAL_URL": HERE, "AGENT_TOKEN": upstream("a", exp=None)},
            ("AGENT_TOKEN", "exp"),
        ),
        (
            "relay",
            {
                "AMQP_URL": BROKER,
                "BASE_INTERNAL_URL": HERE,
                "AGENT_TOKEN": f"{upstream('a', 'b')}, {upstream('c', 'b')}",
            },
            ("AGENT_TOKEN", "tag b", "tokens 1 and 2"),
        ),
    ],
)
def test_by_the_bridge(
    here: Here, tmp_path: Path, command: str, settings: dict[str, str], names: tuple[str, ...]
) -> None:
    here.refuses(bridge, [command], {"BRIDGE_STORE": str(tmp_path / "bridge.db")} | settings, *names)


def test_by_the_bridge_for_a_file_of_its_own(tmp_path: Path) -> None:
    settings = {"BRIDGE_STORE": str(tmp_path / "bridge.db"), "ADMIN_PASSWORD_FILE": "/nowhere"}
    refused(run(["bridge", "serve"], {"AMQP_URL": BROKER} | settings), "ADMIN_PASSWORD_FILE", "/nowhere")


def test_by_the_bridge_for_a_damaged_store(tmp_path: Path) -> None:
    store = tmp_path / "bridge.db"
    store.write_bytes(b"no database" * 1000)
    refused(
        run(["bridge", "serve"], {"AMQP_URL": BROKER, "BRIDGE_STORE": str(store)}), "BRIDGE_STORE", "copy"
    )
    assert store.read_bytes() == b"no database" * 1000


def test_a_secret_is_not_shown(tmp_path: Path) -> None:
    ended = run(
        ["agent", "--spool", str(tmp_path)], {"BASE_INTERNAL_URL": HERE, "AGENT_TOKEN": "tell-nobody"}
    )
    assert "tell-nobody" not in ended.stdout + ended.stderr


@pytest.mark.parametrize(
    ("flag", "wrong"), [("--slots", "0"), ("--slots", "5000"), ("--tags", ","), ("--tags", "x" * 201)]
)
def test_by_a_worker_for_a_flag(here: Here, flag: str, wrong: str) -> None:
    here.refuses(bridge, ["worker", flag, wrong], {"DATABASE_URL": "postgresql://127.0.0.1/x"}, flag)
