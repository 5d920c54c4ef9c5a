"""Runs the product as `python -m` would, and kills it with SIGKILL at a named step of custody.

    python -m tests.support.killed_at MARK agent|bridge …

A step is a moment right before or after one method of the real process. It dies at the one that the file
MARK names, and removes that file as it dies. So the same command, started again, lives.
"""

import functools
import importlib
import os
import runpy
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final, Literal

Moment = tuple[str, Literal["before", "after"]]

AGENT: Final[dict[str, Moment]] = {
    "a job came, nothing is on disk": ("agent.jobs.book:Book.hold", "before"),
    "the job is on disk, the broker does not know": ("agent.jobs.book:Book.hold", "after"),
    "the job is acknowledged": ("agent.link.amqp:AmqpDelivery.ack", "after"),
    "the acceptance is sent, not noted": ("agent.jobs.book:Book.note_accepted", "before"),
    "the acceptance is noted": ("agent.jobs.book:Book.note_accepted", "after"),
    "the start is on disk, no process is there": ("agent.executor.process:Executor.run", "before"),
    "the process has ended, its result is in memory": ("agent.jobs.book:Book.finish", "before"),
    "the result is on disk": ("agent.jobs.book:Book.finish", "after"),
    "a part of a document is confirmed, not noted": ("agent.jobs.book:Book.note_parts_left", "before"),
    "a document's parts are sent, the result is not": ("agent.jobs.parts:Parts.send", "after"),
    "the result is sent, not noted": ("agent.jobs.book:Book.note_sent", "before"),
    "the result is noted as sent": ("agent.jobs.book:Book.note_sent", "after"),
    "the receipt came, the row is still there": ("agent.jobs.book:Book.forget", "before"),
    "the row is gone, the receipt is not acknowledged": ("agent.jobs.book:Book.forget", "after"),
}
BRIDGE: Final[dict[str, Moment]] = {
    "a job is pulled, not in the ledger": ("bridge.relay.ledger:Ledger.take", "before"),
    "the job is in the ledger, not published": ("bridge.relay.ledger:Ledger.take", "after"),
    "the job is published, not noted": ("bridge.relay.ledger:Ledger.published", "before"),
    "the job is noted as published": ("bridge.relay.ledger:Ledger.published", "after"),
    "an acceptance came, not noted": ("bridge.relay.ledger:Ledger.accept", "before"),
    "the acceptance is noted, no grant is sent": ("bridge.relay.ledger:Ledger.accept", "after"),
    "the answers are sent, the events are not acknowledged": ("bridge.relay.telling:Teller.tell", "after"),
    "a part of a document is kept": ("bridge.relay.ledger:Ledger.add_part", "after"),
    "a result came, the cluster does not know": (
        "bridge.relay.sources.local:LocalSource.send_result",
        "before",
    ),
    "the cluster has the result, the ledger is open": (
        "bridge.relay.sources.local:LocalSource.send_result",
        "after",
    ),
    "the ledger is closed, no receipt is sent": ("bridge.relay.ledger:Ledger.close", "after"),
    "the receipt is sent, the result is not acknowledged": (
        "bridge.relay.collector:Collector._results",
        "after",
    ),
}
AGENT_OVER_HTTP: Final[dict[str, Moment]] = {
    "an answer to a pull came": ("agent.link.http.api:Api.pull", "after"),
    "a job came over HTTP, nothing is on disk": AGENT["a job came, nothing is on disk"],
    "the job is on disk, the link does not know": AGENT["the job is on disk, the broker does not know"],
    "the job may start, not noted": AGENT["the acceptance is sent, not noted"],
    "log text is about to go": ("agent.link.http.api:Api.push_log", "before"),
    "the cluster has log text, not noted": ("agent.link.http.api:Api.push_log", "after"),
    "a result is about to go": ("agent.link.http.api:Api.send_result", "before"),
    "the cluster has a result, not noted": ("agent.link.http.api:Api.send_result", "after"),
    "a result is noted as sent": AGENT["the result is noted as sent"],
    "the receipt is about to be obeyed": AGENT["the receipt came, the row is still there"],
    "the cluster was told what is held": ("agent.link.http.api:Api.held_jobs", "after"),
}
BRIDGE_OVER_HTTP: Final[dict[str, Moment]] = {
    "a job is handed out, no answer is sent": ("bridge.jobs.service:Jobs.pull_in_time", "after"),
    "log text is kept, no answer is sent": ("bridge.jobs.service:Jobs.append_log", "after"),
    "a result came, not recorded": ("bridge.jobs.service:Jobs.complete", "before"),
    "a result is recorded, no answer is sent": ("bridge.jobs.service:Jobs.complete", "after"),
    "it is told what an agent holds": ("bridge.agents.holding:Holding.heard", "before"),
}
STEPS: Final = {"agent": AGENT | AGENT_OVER_HTTP, "bridge": BRIDGE | BRIDGE_OVER_HTTP}


def die_at(step: str, moment: Moment, mark: Path) -> None:
    """Put the death around the method, in this process."""
    place, when = moment
    module, _, path = place.partition(":")
    owner, _, name = path.partition(".")
    cls = getattr(importlib.import_module(module), owner)
    setattr(cls, name, _dying(getattr(cls, name), step, when, mark))


def _dying(
    method: Callable[..., Awaitable[Any]], step: str, when: str, mark: Path
) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(method)
    async def wrapped(*args: Any, **named: Any) -> Any:
        if when == "before":
            _die_once(step, mark)
        answer = await method(*args, **named)
        if when == "after":
            _die_once(step, mark)
        return answer

    return wrapped


def _die_once(step: str, mark: Path) -> None:
    if mark.exists() and mark.read_text() == step:
        mark.unlink()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    marked, program = sys.argv[1:3]
    for named, moment in STEPS[program].items():
        die_at(named, moment, Path(marked))
    sys.argv[:] = [program, *sys.argv[3:]]
    runpy.run_module(program, run_name="__main__", alter_sys=True)
