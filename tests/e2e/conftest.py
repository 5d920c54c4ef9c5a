"""Fixtures that e2e tests share."""

from tests.support.worlds import calm, world

__all__ = ["calm", "world"]
