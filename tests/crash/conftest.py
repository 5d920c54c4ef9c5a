"""Fixtures that crash tests share."""

from tests.support.worlds import calm, world

__all__ = ["calm", "world"]
