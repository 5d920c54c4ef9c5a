"""What it takes to read a SQLite file of ours without its writer: its statements by name, its size."""

import re
import sqlite3
from collections.abc import Mapping
from pathlib import Path


def queries(path: Path) -> Mapping[str, str]:
    """The named statements of a `.sql` file: `-- name: accept` starts one."""
    parts = re.split(r"^-- name: (\w+)\n", path.read_text(), flags=re.MULTILINE)
    return dict(zip(parts[1::2], (part.strip() for part in parts[2::2]), strict=True))


def used_bytes_of(connection: sqlite3.Connection) -> int:
    """Three numbers of the file's first page: what costs nothing may be asked at every commit."""
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    return int((pages - free) * size)
