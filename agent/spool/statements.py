"""The spool's statements by their names."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final

from agent.reading import queries

SQL: Final[Mapping[str, str]] = queries(Path(__file__).with_name("spool.sql"))
