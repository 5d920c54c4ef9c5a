"""The executor of a normal worker: the same as an agent's."""

from pathlib import Path

import structlog

from agent.executor.languages.repertoire import repertoire_of
from agent.executor.limits import Limits
from agent.executor.process import Executor

log = structlog.get_logger()


def executor_in(folder: Path) -> Executor:
    """It ends what an earlier life of a worker in this folder left running."""
    executor = Executor(folder, Limits(), languages=repertoire_of({}).known)  # as they are on its PATH
    if killed := executor.kill_leftovers():
        log.info("leftovers.killed", jobs=killed)
    return executor
