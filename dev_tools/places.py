"""Where things lie in a checkout. Everything that we write lies below `RUN`."""

from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parent.parent
RUN: Final = ROOT / ".run"
