"""A file called utils, or a class called Manager, says nothing about what belongs in it."""

import ast
import re
from typing import Final

from tests.meta.tree import SOURCES

VAGUE_FILE: Final = re.compile(r"(^|_)(utils?|helpers?|misc|common|manager)(_|$)")
VAGUE_CLASS: Final = re.compile(r"(Manager|Helper|Handler|Utils?|Base)$")
VAGUE_FUNCTION: Final = re.compile(r"^_*(handle|do)_")


def test_no_file_or_folder_has_a_name_for_anything() -> None:
    named = {part for source in SOURCES for part in (*source.path.parts[:-1], source.path.stem)}
    assert [name for name in sorted(named) if VAGUE_FILE.search(name)] == []


def test_no_class_has_a_name_for_anything() -> None:
    classes = [
        f"{source.path}:{node.lineno} {node.name}"
        for source in SOURCES
        for node in ast.walk(source.tree)
        if isinstance(node, ast.ClassDef) and VAGUE_CLASS.search(node.name)
    ]
    assert classes == []


def test_no_function_only_handles_or_does() -> None:
    functions = [
        f"{source.path}:{function.lineno} {function.name}"
        for source in SOURCES
        for function in source.functions()
        if VAGUE_FUNCTION.search(function.name)
    ]
    assert functions == []


def test_no_package_file_holds_code() -> None:
    packages = [source for source in SOURCES if source.path.name == "__init__.py"]
    assert [str(source.path) for source in packages if source.text.strip()] == []
