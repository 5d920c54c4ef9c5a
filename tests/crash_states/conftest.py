"""What crash enumeration needs of the machine."""

import pytest

from dev_tools.apt import CannotInstall, install
from tests.crash_states.recorder import can_trace
from tests.support.uncounted import not_counted

__all__ = ["not_counted"]  # thousands of openings cover the same lines again and again


@pytest.fixture(scope="session")
def strace() -> None:
    """strace, installed as RabbitMQ is: where we may. The test is skipped where it cannot trace."""
    if can_trace():
        return
    try:
        install("strace")
    except CannotInstall as error:
        pytest.skip(str(error))
    if not can_trace():
        pytest.skip("strace is here, but this machine does not let it trace")
