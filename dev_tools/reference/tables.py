"""Tables of a page in Markdown."""

from collections.abc import Iterable, Sequence
from typing import Final

WRITTEN: Final = "<!-- Written by `./dev reference` from the code; a test fails when the two differ. -->"


def page(title: str, *parts: str) -> str:
    return "\n\n".join([f"# {title}", WRITTEN, *parts]) + "\n"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(_cell(cell) for cell in line)} |" for line in lines)


def code(text: str) -> str:
    return f"`{text}`" if text else ""


def codes(texts: Iterable[str]) -> str:
    return ", ".join(map(code, texts))


def _cell(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
