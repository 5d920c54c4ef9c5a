"""A sleep is a guess about time, a mock a guess about the other side. Tests make neither."""

import ast
import re
from pathlib import Path
from typing import Final

from tests.meta.tree import SOURCES, Source

VIRTUAL_TIME: Final = Path("tests/simulation")  # a sleep there only moves a number
THE_ONE_THAT_POLLS: Final = Path("tests/support/until.py")
GUESSES: Final = re.compile(
    r"\b(MagicMock|AsyncMock|mock\.patch|assert_called|assert_awaited|monkeypatch\.setattr)"
)


def sleeps(source: Source) -> list[int]:
    """The lines that call a `sleep`, but for `sleep(0)`, which only lets others run."""
    return [
        node.lineno
        for node in ast.walk(source.tree)
        if isinstance(node, ast.Call)
        and ast.unparse(node.func).rpartition(".")[2] == "sleep"
        and [ast.unparse(argument) for argument in node.args] != ["0"]
    ]


def test_no_test_sleeps() -> None:
    tests = [
        source
        for source in SOURCES
        if source.is_test and source.path != THE_ONE_THAT_POLLS and VIRTUAL_TIME not in source.path.parents
    ]
    assert [f"{source.path}:{line}" for source in tests for line in sleeps(source)] == []


def test_no_test_replaces_a_part_of_ours() -> None:
    found = [
        f"{source.path}:{number}"
        for source in SOURCES
        if source.is_test and source.path.parts[1] != "meta"
        for number, line in enumerate(source.text.splitlines(), 1)
        if GUESSES.search(line)
    ]
    assert found == []
