"""Where a bench keeps its files while it runs."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dev_tools.places import RUN


@contextmanager
def own_folder() -> Iterator[Path]:
    """Removed at the end, unless ORVANTA_BENCH_KEEP is set."""
    folder = RUN / "bench" / secrets.token_hex(4)
    folder.mkdir(parents=True)
    try:
        yield folder
    finally:
        if "ORVANTA_BENCH_KEEP" in os.environ:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)
