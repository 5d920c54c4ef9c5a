"""Whoever searches for I1 … I7 finds the lines that uphold it, and the tests that would miss it."""

import re

import pytest

from dev_tools.places import ROOT
from tests.meta.tree import tracked

PRODUCT = ("agent", "bridge")


def cites(invariant: str, *folders: str) -> list[str]:
    word = re.compile(rf"\b{invariant}\b")
    return [
        str(path)
        for path in tracked()
        if path.parts[0] in folders
        and path.suffix in {".py", ".sql"}
        and path.parts[:2] != ("tests", "meta")
        and word.search((ROOT / path).read_text())
    ]


@pytest.mark.parametrize("invariant", [f"I{number}" for number in range(1, 8)])
def test_the_code_cites_it(invariant: str) -> None:
    assert cites(invariant, *PRODUCT)


@pytest.mark.parametrize("invariant", [f"I{number}" for number in range(1, 8)])
def test_a_test_cites_it(invariant: str) -> None:
    assert cites(invariant, "tests")
