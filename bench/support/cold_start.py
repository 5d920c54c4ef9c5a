"""The real agent's process on a prepared spool, with no link: when does its first job show an effect?"""

import base64
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from agent.link.enrol import to_json
from agent.link.link import Enrolment
from bench.support import spools
from bench.support.work import JobWentWrong, surroundings
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running

PAUSE_S: Final = 0.005
START_S: Final = 60.0
TOKEN: Final = "jwt_agent_" + ".".join(  # three parts, as a token has; nobody is there to check it
    base64.urlsafe_b64encode(part).decode().rstrip("=") for part in (b"{}", b"{}", b"x")
)


def remember_enrolment(folder: Path) -> None:
    """As if this spool's agent had been enrolled before the link went."""
    enrolment = Enrolment(
        worker="ag-bench-a", worker_group="bench", tags=(spools.TAG,), shared_tags=(),
        amqp_url="amqp://127.0.0.1:1", keys={},
    )  # fmt: skip
    with closing(sqlite3.connect(folder / "spool.db", isolation_level=None)) as database:
        database.execute("INSERT OR REPLACE INTO meta VALUES ('enrolment', ?)", (to_json(enrolment),))
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")


@contextmanager
def agent(folder: Path) -> Iterator[Running]:
    """On the spool in `folder`, its cluster out of reach."""
    (port,) = free_ports(1)
    env = surroundings() | {"AGENT_TOKEN": TOKEN, "BASE_INTERNAL_URL": f"http://127.0.0.1:{port}"}
    words = [sys.executable, "-m", "agent", "--spool", str(folder)]
    with Running(words, env=env, log=folder.with_suffix(".log"), cwd=ROOT) as running:
        yield running


def first_effect_s(folder: Path, effect: Path) -> float:
    """Seconds from the start of the process until `effect`, which the first job makes, is there."""
    _chill(folder)
    began_s = time.monotonic()
    with agent(folder) as running:
        wait_for(effect.exists, running)
        return time.monotonic() - began_s


def idle_rss_mb(folder: Path, settle_s: float) -> float:
    """Resident memory of an agent that has nothing to do but to keep what it holds."""
    with agent(folder) as running:
        wait_for(lambda: "agent.started" in running.text(), running)
        time.sleep(settle_s)
        status = Path(f"/proc/{running.pid}/status").read_text()
    return int(status.partition("VmRSS:")[2].split()[0]) / 1024


def wait_for(condition: Callable[[], bool], running: Running) -> None:
    end_s = time.monotonic() + START_S
    while not condition():
        if time.monotonic() > end_s or not running.is_running():
            raise JobWentWrong(f"the agent did not get so far:\n{running.text()[-2000:]}")
        time.sleep(PAUSE_S)


def _chill(folder: Path) -> None:
    """Nothing of the spool is in the page cache, as after a boot."""
    os.sync()
    for path in folder.glob("spool.db*"):
        number = os.open(path, os.O_RDONLY)
        os.posix_fadvise(number, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(number)
