"""INIT_SCRIPT and the periodic script: the site's own, run as jobs are, and told in the agent's log."""

import asyncio
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from agent.clock import SystemClock
from agent.config import read
from agent.errors import ConfigError
from agent.executor.limits import Limits
from agent.executor.process import Executor
from agent.executor.task import Stop
from agent.scripts.running import UNTOLD_MOST, InitScriptFailed, SiteScripts
from agent.scripts.script import Kind, Script, scripts_of
from tests.support.until import until

NEEDED = {"AGENT_TOKEN": "jwt_agent_a.b.c", "BASE_INTERNAL_URL": "http://h"}
PERIODIC = "PERIODIC_BASH_SCRIPT"
EVERY = "PERIODIC_BASH_SCRIPT_INTERVAL_SECONDS"


def scripts(work: Path, content: str, kind: Kind = Kind.INIT, every_s: float = 0.0) -> SiteScripts:
    executor = Executor(work, Limits(kill_grace_s=0.2))
    return SiteScripts([Script(kind, content, 20.0, every_s)], executor, SystemClock())


@pytest.mark.parametrize(
    "content",
    [
        "echo ready > {}",
        "#!/bin/bash -e\necho ready > {}",
        "#!/usr/bin/env python3\nprint('ready', file=open('{}', 'w'))",
        "#!/usr/bin/python3.11\ndef main(): open('{}', 'w').write('ready\\n')",
    ],
)
async def test_it_is_bash_or_python_by_its_first_line(tmp_path: Path, content: str) -> None:
    await scripts(tmp_path / "work", content.format(tmp_path / "made")).begin(Stop())
    assert (tmp_path / "made").read_text() == "ready\n"


async def test_its_output_is_in_the_log_line_by_line(tmp_path: Path) -> None:
    with capture_logs() as logged:
        await scripts(tmp_path, "echo one; echo two; printf three").begin(Stop())
    assert [entry["line"] for entry in logged if entry["event"] == "script.says"] == ["one", "two", "three"]
    assert logged[-1]["event"] == "script.ended"
    assert logged[-1]["success"]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("echo no disk; exit 3", "ended with exit code 3, .* mend it, or leave INIT_SCRIPT out.*\nno disk"),
        ("#!/usr/bin/python3\nraise RuntimeError('no disk')", "ended with exit code 1.*\n.*no disk"),
        ("kill -9 $$", "ended with exit code 137"),
        ("#!/usr/bin/python3\n'\ud800'", "could not be started: .*BadScript"),
    ],
)
async def test_one_that_fails_stops_the_start_and_says_why(tmp_path: Path, content: str, said: str) -> None:
    with pytest.raises(InitScriptFailed, match=f"(?s)INIT_SCRIPT {said}"):
        await scripts(tmp_path, content).begin(Stop())


async def test_an_agent_that_is_told_to_end_meanwhile_does_not_call_that_a_failure(tmp_path: Path) -> None:
    stop = Stop()
    beginning = asyncio.create_task(scripts(tmp_path, "sleep 60").begin(stop))
    stop.request("orvanta", "the agent was told to end")
    await asyncio.wait_for(beginning, 20)


async def test_a_periodic_one_runs_now_and_again_also_after_a_failure(tmp_path: Path) -> None:
    site = scripts(tmp_path / "work", f"echo x >> {tmp_path}/runs; exit 1", Kind.PERIODIC, every_s=0.05)
    await site.begin(Stop())  # there is no init script
    repeating = asyncio.create_task(site.repeat())
    first = await asyncio.wait_for(site.next_untold(), 20)
    site.told(first)
    site.told(first)
    second = await asyncio.wait_for(site.next_untold(), 20)
    assert second.started_at >= first.started_at
    assert not second.outcome.success
    await until(lambda: (tmp_path / "runs").read_text().count("x") > UNTOLD_MOST + 2)
    assert (await site.next_untold()).started_at > second.started_at  # the oldest have been forgotten
    repeating.cancel()
    await asyncio.wait([repeating])


@pytest.mark.parametrize(
    ("env", "said"),
    [
        ({"INIT_SCRIPT": "#!/usr/bin/perl\nprint 1"}, "INIT_SCRIPT must be a script for bash or python3"),
        ({PERIODIC: "true"}, f"{PERIODIC} and {EVERY} belong together"),
        ({EVERY: "60"}, f"{PERIODIC} and {EVERY} belong together"),
        ({PERIODIC: "true", EVERY: "59"}, f"{EVERY} must be a whole number of seconds from 60 on, not '59'"),
        ({PERIODIC: "true", EVERY: "soon"}, f"{EVERY} must be"),
    ],
)
def test_a_wrong_setting_is_named(tmp_path: Path, env: dict[str, str], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        read(NEEDED | env, tmp_path, None, None)


def test_settings_of_none_are_none() -> None:
    assert scripts_of({"INIT_SCRIPT": "\n", PERIODIC: "", EVERY: " "}) == ()
    (periodic,) = scripts_of({PERIODIC: "true", EVERY: "90"})
    assert (periodic.kind, periodic.every_s, periodic.language) == (Kind.PERIODIC, 90.0, "bash")
