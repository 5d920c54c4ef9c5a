"""The start of a process is what a small device, and each test of processes, pays again and again."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.jobs.model import OVER
from agent.status import FINISHED, SENT
from dev_tools.places import ROOT

LISTED = """
import json, sys
try:
    {code}
except SystemExit:
    pass
print(json.dumps(sorted(sys.modules)))
"""
LONG_LIVED = {"asyncio", "structlog", "tenacity", "cryptography", "ssl", "httpx", "aio_pika"}


def loaded_by(code: str) -> set[str]:
    """The modules of a fresh interpreter once it has run this line."""
    command = [sys.executable, "-c", LISTED.format(code=code)]
    env = {name: text for name, text in os.environ.items() if name != "COVERAGE_PROCESS_CONFIG"}
    ended = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    modules: list[str] = json.loads(ended.stdout.splitlines()[-1])
    return set(modules)


@pytest.mark.parametrize("program", ["agent", "bridge"])
def test_help_loads_nothing_of_what_it_tells_of(program: str) -> None:
    loaded = loaded_by(f"from {program}.__main__ import main; main(['--help'])")
    assert f"{program}.errors" in loaded
    assert not loaded & {*LONG_LIVED, "dataclasses", f"{program}.app", f"{program}.config"}


def test_status_loads_no_agent(tmp_path: Path) -> None:
    loaded = loaded_by(f"from agent.__main__ import main; main(['status', '--spool', {str(tmp_path)!r}])")
    assert "agent.status" in loaded
    assert not loaded & {*LONG_LIVED, "dataclasses", "agent.app", "agent.database", "agent.jobs"}


def test_status_has_the_words_of_the_states() -> None:
    assert (FINISHED, SENT) == OVER


def test_an_agent_loads_a_link_once_it_knows_which() -> None:
    loaded = loaded_by("import agent.app, agent.config")
    assert not loaded & {"httpx", "aio_pika", "agent.link.amqp", "agent.link.http.link", "cryptography.x509"}


def test_a_bridge_loads_no_driver_for_a_file_and_no_client_for_its_own_cluster() -> None:
    loaded = loaded_by("import bridge.app, bridge.config")
    assert not loaded & {"psycopg", "httpx", "starlette.testclient", "bridge.store.postgres"}
