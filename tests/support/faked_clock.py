"""The wall clock of a real process, wrong and moved while it runs (libfaketime); its monotonic is right."""

import time
from pathlib import Path
from typing import Final

import pytest

LIBRARY: Final = next(Path("/usr/lib").glob("*/faketime/libfaketimeMT.so.1"), None)
needs_faketime = pytest.mark.skipif(
    LIBRARY is None, reason="libfaketime is not here; apt-get install faketime"
)


class FakedClock:
    def __init__(self, folder: Path) -> None:
        self._file = folder / "faketime"
        self.ahead_by(0)
        self.settings: Final = {
            "LD_PRELOAD": str(LIBRARY),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # a battery that fails does not touch the monotonic clock
        }

    def ahead_by(self, seconds: int) -> None:
        temp = self._file.with_name("faketime.new")
        temp.write_text(f"{seconds:+d}")
        temp.replace(self._file)  # a reader sees the old or the new

    def at_1970(self) -> None:
        self.ahead_by(100 - int(time.time()))
