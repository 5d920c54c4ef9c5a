"""Fixtures that contract tests share."""

from tests.support.cluster import cluster

__all__ = ["cluster"]
