"""Fixtures that crash tests share."""

from tests.support.uncounted import not_counted
from tests.support.worlds import brokerless, calm, world

__all__ = ["brokerless", "calm", "not_counted", "world"]
