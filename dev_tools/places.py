"""Where things lie in a checkout. Everything that we write lies below `RUN`."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RUN: Final = ROOT / ".run"

# For a whole suite: most tests wait for real processes, so several at a time; a file stays together.
# In the order of tests/conftest.py: what takes longest begins first.
SIDE_BY_SIDE: Final = ("--numprocesses", "4", "--dist", "loadfile", "--no-loadscope-reorder")
