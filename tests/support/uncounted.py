"""Processes that no coverage is taken of: what is killed tells nothing, and to begin counting costs much."""

from collections.abc import Iterator

import pytest


@pytest.fixture(autouse=True, scope="module")
def not_counted() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("COVERAGE_PROCESS_CONFIG", raising=False)
        yield
