"""The vectors of flows run through the store, its pulls and its turns, as they do in memory."""

from pathlib import Path

import pytest

from bridge.store.on_server import OnServer
from tests.support.cluster import running_cluster
from tests.support.flow_vectors import check, vectors
from tests.support.flows_in_store import flows_on, outcome_of

pytestmark = pytest.mark.on_both_stores


async def test_every_vector(store_place: Path | OnServer) -> None:
    """One world for all of them: each has a workspace of its own."""
    wrong = []
    async with running_cluster(store_place) as running, flows_on(running) as turns:
        for number, vector in enumerate(vectors()):
            try:
                check(vector, await outcome_of(running, turns, vector, f"v{number}"))
            except AssertionError as error:
                wrong.append(f"{vector.name}: {str(error)[:500]}")
    assert wrong == []
