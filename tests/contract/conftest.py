"""Fixtures that contract tests share."""

import pytest

from tests.support.cluster import cluster

__all__ = ["cluster"]

STORES = ["sqlite", "postgresql"]


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """What a module says of the store's rooms it says of both stores."""
    marked = any(mark.name == "on_both_stores" for mark in metafunc.definition.iter_markers())
    if marked and "store_place" in metafunc.fixturenames:
        metafunc.parametrize("store_place", STORES, indirect=True)
