"""Ctrl-C, `kill` and a closed terminal end a run in the same way: by unwinding, so all is put away."""

import signal
from types import FrameType
from typing import NoReturn


def stop_by_unwinding() -> None:
    """From now on SIGTERM and SIGHUP raise `KeyboardInterrupt` in the main thread, as SIGINT does."""
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _interrupt)


def _interrupt(_number: int, _frame: FrameType | None) -> NoReturn:
    raise KeyboardInterrupt
