"""The conformance vectors (openflow.md 8) and our own, on the machine alone; elsewhere on both stores."""

from collections.abc import Iterator

import pytest

from tests.support.flow_vectors import Vector, check, vectors
from tests.support.flows_in_memory import Memory
from tests.support.javascript import Javascript, javascript

VECTORS = vectors()


@pytest.fixture(scope="module")
def engine() -> Iterator[Javascript]:
    with javascript() as started:
        yield started


@pytest.mark.parametrize("vector", VECTORS, ids=[one.name for one in VECTORS])
def test_it_ends_so(engine: Javascript, vector: Vector) -> None:
    check(vector, Memory(engine, vector).outcome())


def test_no_two_vectors_have_one_name() -> None:
    assert len({one.name for one in VECTORS}) == len(VECTORS)
