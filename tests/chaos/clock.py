"""A wall clock of an agent's own, through libfaketime; its monotonic clock stays true, as real ones do."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

LIBRARIES: Final = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
JUMPS: Final = ("-20000d", "-400d", "-86400", "-30", "+30", "+86400", "+400d", "+4000d")
TRUE: Final = "+0"


class OwnClock:
    def __init__(self, file: Path, library: Path) -> None:
        self._file: Final = file
        self._library: Final = library
        self.set(TRUE)

    @property
    def settings(self) -> Mapping[str, str]:
        """What the agent is started with; its jobs get none of it."""
        return {
            "LD_PRELOAD": str(self._library),
            "FAKETIME_TIMESTAMP_FILE": str(self._file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            # As built by Debian it would reckon the waits of Python's own locks by the wrong clock.
            "FAKETIME_FORCE_MONOTONIC_FIX": "0",
        }

    def set(self, offset: str) -> None:
        """The clock jumps at once, for a process that runs and for its next lives."""
        new = self._file.with_suffix(".new")
        new.write_text(f"{offset}\n")
        new.replace(self._file)


def library() -> Path | None:
    """libfaketime, where it is installed."""
    found = (path for folder in LIBRARIES for path in Path(folder).glob("**/libfaketimeMT.so.1"))
    return next(found, None)
