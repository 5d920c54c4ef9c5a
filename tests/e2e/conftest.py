"""Fixtures that e2e tests share."""

from tests.support.worlds import brokerless, calm, standing, world

__all__ = ["brokerless", "calm", "standing", "world"]
