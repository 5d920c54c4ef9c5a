"""The product's own code as data: what the reference is made from."""

import ast
import importlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

from dev_tools.places import ROOT

PACKAGES: Final = ("agent", "bridge")


@dataclass(frozen=True, slots=True)
class Module:
    path: Path  # from the root of the checkout
    text: str
    tree: ast.Module

    @property
    def name(self) -> str:
        return ".".join(self.path.with_suffix("").parts)

    def value(self, name: str) -> object:
        """Of a name at its top; None where it has none. Imports the module."""
        return getattr(importlib.import_module(self.name), name, None)


@cache
def modules() -> tuple[Module, ...]:
    """Every module of ours, in the order of their paths. Read once: each page of the reference asks."""
    paths = [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]
    texts = [(path.relative_to(ROOT), path.read_text()) for path in paths]
    return tuple(Module(path, text, ast.parse(text)) for path, text in texts)


def text_of(node: ast.expr | None) -> str | None:
    """Of a literal text; None for everything else."""
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None
