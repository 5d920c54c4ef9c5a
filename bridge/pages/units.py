"""Compute units, as Orvanta counts agent workers: each once a month, whatever it runs. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import gmtime, strftime
from typing import Final

SELF_HOSTED: Final = 1.0
CLOUD: Final = 0.5


@dataclass(frozen=True, slots=True)
class Units:
    month: str
    workers: int

    @property
    def self_hosted(self) -> str:
        return f"{self.workers * SELF_HOSTED:g}"

    @property
    def cloud(self) -> str:
        return f"{self.workers * CLOUD:g}"


def by_month(months: Sequence[tuple[str, int]]) -> list[Units]:
    return [Units(month, workers) for month, workers in months]


def this_month(months: Sequence[tuple[str, int]], wall_s: float) -> Units:
    month = strftime("%Y-%m", gmtime(wall_s))
    return Units(month, dict(months).get(month, 0))
