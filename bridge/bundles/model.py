"""What a bundle is made from and what comes of it, as values."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from agent.wire.bundles import Kind


@dataclass(frozen=True, slots=True)
class Locked:
    lock: str
    hashes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by pin, where they are known


Fetched = Sequence[tuple[Path, Kind, str]]  # files, and where each belongs
Fetch = Callable[[Locked, str, Path], Awaitable[Fetched]]  # for a platform, into a folder
