"""Two agents of one tag, one of which runs perl: each job ends where it can be run."""

import os
from typing import Any

import pytest

from agent.executor.languages.repertoire import PROGRAMS
from tests.support.world import Agent, World

pytestmark = pytest.mark.broker

PERL = 'perl = { command = ["perl", "{file}"], file = "main.pl" }\n'


def without_others(agent: Agent, *lines: str) -> None:
    """It runs bash, python3, sqlite and what these lines declare, whatever is on this machine."""
    declared = agent.folder / "languages.toml"
    declared.write_text("".join(lines))
    agent.settings |= dict.fromkeys(PROGRAMS, "/no/such/program") | {"LANGUAGES_FILE": str(declared)}


async def test_each_language_is_run_where_it_can_be(world: World) -> None:
    assert os.access("/usr/bin/perl", os.X_OK)
    plain, able = world.site("till", slots=4, ahead=8), world.site("till", slots=2)
    without_others(plain)
    without_others(able, PERL)
    await plain.start()
    first = world.cluster.submit('print "by perl"', "till", "perl")
    done = world.cluster.submit("echo by bash", "till")
    assert (await world.cluster.done(done))["result"] == "by bash"
    assert world.cluster.job(first)["type"] == "QueuedJob"
    assert not world.cluster.attempts(first)  # it waits where everybody sees it
    await able.start()
    jobs = [first, *(world.cluster.submit('print "by perl"', "till", "perl") for _ in range(5))]
    others = [world.cluster.submit("echo by bash", "till") for _ in range(5)]
    await world.cluster.all_done([*jobs, *others])
    assert {world.cluster.job(job_id)["result"] for job_id in jobs} == {"by perl"}
    assert {custodian(world, job_id) for job_id in jobs} == {able.status()["worker"]}

    # The one that ran it does not any more: what is on its way waits, and goes on when it does again.
    able.stop()
    without_others(able)
    await able.start()
    waits = world.cluster.submit('print "again"', "till", "perl")
    assert (await world.cluster.done(world.cluster.submit("echo ok", "till")))["success"]
    assert world.cluster.job(waits)["type"] == "QueuedJob"
    able.stop()
    without_others(able, PERL)
    await able.start()
    assert (await world.cluster.done(waits))["result"] == "again"


def custodian(world: World, job_id: str) -> Any:
    return world.cluster.attempts(job_id)[-1]["custodian"]
