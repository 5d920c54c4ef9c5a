"""A reader holds a function in the head and a file on a few screens."""

import ast
from typing import Final

from tests.meta.tree import SOURCES, Function

FILE_LINES: Final = 450
FUNCTION_LINES: Final = 70
USUAL_LINES: Final = 25  # of code, for nine functions in ten


def code_lines(function: Function) -> int:
    """Its lines that are code: neither the docstring, nor blank, nor a comment alone."""
    body = function.body[1:] if ast.get_docstring(function) else function.body
    if not body:
        return 1
    spanned = {
        line for statement in body for line in range(statement.lineno, (statement.end_lineno or 0) + 1)
    }
    return len(spanned) + body[0].lineno - function.lineno if body is function.body else len(spanned) + 1


def test_no_file_is_longer_than_450_lines() -> None:
    lengths = {str(source.path): len(source.text.splitlines()) for source in SOURCES}
    assert {path: length for path, length in lengths.items() if length > FILE_LINES} == {}


def test_no_function_is_longer_than_70_lines() -> None:
    long = [
        f"{source.path}:{function.lineno} {function.name}"
        for source in SOURCES
        for function in source.functions()
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    ]
    assert long == []


def test_nine_functions_in_ten_have_at_most_25_lines_of_code() -> None:
    lengths = {
        f"{source.path}:{function.lineno} {function.name}": code_lines(function)
        for source in SOURCES
        for function in source.functions()
    }
    long = {name: length for name, length in lengths.items() if length > USUAL_LINES}
    assert len(long) <= len(lengths) / 10, long
