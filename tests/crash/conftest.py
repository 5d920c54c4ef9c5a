"""Fixtures that crash tests share."""

from tests.support.worlds import brokerless, calm, world

__all__ = ["brokerless", "calm", "world"]
