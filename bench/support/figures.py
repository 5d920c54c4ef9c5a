"""Medians, percentiles, and ratios with their spread."""

import math
from collections.abc import Sequence
from statistics import median


def percentile(values: Sequence[float], percent: float) -> float:
    """The nearest-rank percentile: always one of the values."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def ratio_line(what: str, over: Sequence[float], under: Sequence[float]) -> str:
    """One line: the median of the ratios taken round by round, and how far they lie apart."""
    ratios = [one / other for one, other in zip(over, under, strict=True)]
    middle = median(ratios)
    spread = (max(ratios) - min(ratios)) / middle * 100
    return f"{what}: {middle:.2f}x (n={len(ratios)}, spread={spread:.0f}%)"
