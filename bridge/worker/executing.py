"""The executor of a normal worker: the same as an agent's."""

from pathlib import Path

import structlog

from agent.executor.limits import Limits
from agent.executor.process import Executor

log = structlog.get_logger()


def executor_in(folder: Path) -> Executor:
    """It ends what an earlier life of a worker in this folder left running."""
    executor = Executor(folder, Limits())
    if killed := executor.kill_leftovers():
        log.info("leftovers.killed", jobs=killed)
    return executor
