"""A page that says where something is proven must not point at nothing."""

import re
from pathlib import Path

import pytest

from dev_tools.places import ROOT

PAGES = sorted((ROOT / "docs").rglob("*.md"))


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_named_test_is_there(page: Path) -> None:
    named = set(re.findall(r"test_\w+\.py", page.read_text()))
    there = {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert named <= there
