"""What a resolver gives back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Resolution:
    lock: str
    hashes: Mapping[str, Sequence[str]] = field(default_factory=dict)  # by pin; none where the lock has them
