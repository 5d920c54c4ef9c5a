"""Chaos kills most of what it starts."""

from tests.support.uncounted import not_counted

__all__ = ["not_counted"]
