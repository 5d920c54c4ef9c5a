"""The modules that a Python script imports at its top, before `main`. Pure; nothing of it is run."""

import ast
import re
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.dependencies.python_names import distribution_of

MAIN: Final = re.compile(r"^(?:async\s+)?def\s+main\s*\(", re.MULTILINE)
PIN: Final = re.compile(r"#\s*(re)?pin:\s*([^#\n]+)")
PLAIN: Final = re.compile(r"import\s+(?P<names>[\w., \t]+)")
FROM: Final = re.compile(r"from\s+(?P<dots>\.*)\s*(?P<module>[\w.]*)\s+import\s+(?P<names>[\w., \t(*]+)")
PARSED_MAX_CHARS: Final = 100_000  # a tenth of a second; a longer script is looked at line by line (I6)
OWN: Final = ("f", "u")  # the folders and the users of the workspace: scripts are imported from there


@dataclass(frozen=True, slots=True)
class Import:
    """One module: `level` is its number of leading dots, `names` what is taken from it."""

    module: str
    level: int = 0
    names: tuple[str, ...] = ()
    pin: str | None = None  # a requirement in the place of the module's own
    is_repin: bool = False

    @property
    def is_relative(self) -> bool:
        return self.level > 0 or self.module.split(".")[0] in OWN


def before_main(code: str) -> str:
    found = MAIN.search(code)
    return code[: found.start()] if found else code


def imports_of(code: str) -> tuple[Import, ...]:
    """Of the statements at the top level; none of a function, a class, a `try` or an `if`."""
    lines = code.splitlines()
    if len(code) > PARSED_MAX_CHARS:
        return tuple(_by_line(before_main(code).splitlines()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of what the script would be told when it runs
            body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):  # perhaps of a newer Python than ours
        return tuple(_by_line(before_main(code).splitlines()))
    return tuple(_of_statements(body, lines))


def _of_statements(body: Sequence[ast.stmt], lines: Sequence[str]) -> Iterator[Import]:
    for statement in body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef) and statement.name == "main":
            return
        text = "\n".join(lines[statement.lineno - 1 : statement.end_lineno])
        if isinstance(statement, ast.Import):
            yield from _pinned([Import(alias.name) for alias in statement.names], text)
        elif isinstance(statement, ast.ImportFrom):
            names = tuple(alias.name for alias in statement.names)
            yield from _pinned([Import(statement.module or "", statement.level, names)], text)


def _by_line(lines: Sequence[str]) -> Iterator[Import]:
    for line in lines:
        if (plain := PLAIN.match(line)) is not None:
            yield from _pinned([Import(name) for name in _names(plain["names"])], line)
        elif (taken := FROM.match(line)) is not None:
            names = _names(taken["names"].replace("(", ""))
            yield from _pinned([Import(taken["module"], len(taken["dots"]), names)], line)


def _names(text: str) -> tuple[str, ...]:
    named = (part.split()[0] for part in text.split(",") if part.strip())
    return tuple(name for name in named if name != "as")


def _own_names(one: Import) -> set[str]:
    return {_plain(one.module.split(".")[0]), _plain(distribution_of(one.module))}


def _plain(name: str) -> str:
    """As two spellings of one distribution's name are compared."""
    return name.replace("-", "_").lower()


def _pinned(found: list[Import], text: str) -> Iterator[Import]:
    """A comment on an import's line says what stands for it: for the module that it names, or the first."""
    pin = PIN.search(text)
    if pin is None:
        yield from found
        return
    named = _plain(re.split(r"[^\w.-]", pin[2].strip(), maxsplit=1)[0])
    first = next((one for one in found if named in _own_names(one)), found[0])
    for one in found:
        if one is first:
            yield Import(one.module, one.level, one.names, pin[2].strip(), pin[1] is not None)
        else:
            yield one
