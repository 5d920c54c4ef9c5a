"""Which settings agent and bridge read from their environment, with the defaults that the code gives them."""

import ast
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from agent.executor.environment import PASSED_ON
from bridge.dependencies.tools import FAMILIES, GIVEN
from dev_tools.reference.meanings import SETTINGS
from dev_tools.reference.source import Module, modules, text_of
from dev_tools.reference.tables import code, codes, page, table

NAME: Final = re.compile(r"[A-Z][A-Z0-9_]+")
SECRET: Final = {"text_of": ("{}", "{}_FILE"), "file_of": ("{}_FILE",)}  # of agent/credentials.py
DEFAULT_AT: Final = 2  # _whole(env, name, default)
# Python, its ssl and httpx read these themselves.
OF_PYTHON: Final = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")


OF_JOBS: Final = "agent/executor/"  # its environments are those of jobs
NAMES_ALL: Final = "agent/site/"  # the support bundle's list has those that a table of languages names
SYSTEMS_OWN: Final = ("PATH", "TZ", "LANG")


@dataclass(frozen=True, slots=True)
class Setting:
    name: str
    default: str
    read_in: str  # a path from the root of the checkout


def found() -> list[Setting]:
    """Every setting that a function reads from an `env`, once for each of agent and bridge."""
    known: dict[tuple[str, str], Setting] = {}
    for module in sorted(modules(), key=lambda one: str(one.path).startswith(NAMES_ALL)):
        if str(module.path).startswith(OF_JOBS):
            continue
        for function in ast.walk(module.tree):
            if isinstance(function, ast.FunctionDef) and any(arg.arg == "env" for arg in function.args.args):
                for setting in _read_by(function, module):
                    key = (module.path.parts[0], setting.name)
                    if key not in known or not known[key].default:
                        known[key] = setting
    return sorted(known.values(), key=lambda one: (one.read_in.partition("/")[0], one.name))


def _read_by(function: ast.FunctionDef, module: Module) -> Iterator[Setting]:
    for node in ast.walk(function):
        named, default, templates = _asked(node, module)
        for name in _names(named, function, module):
            for template in templates:
                if NAME.fullmatch(name) and name not in (*SYSTEMS_OWN, *OF_PYTHON):
                    yield Setting(template.format(name), default, str(module.path))


def _asked(node: ast.AST, module: Module) -> tuple[ast.expr | None, str, Sequence[str]]:
    """What is asked of the environment here, and the default."""
    plain = ("{}",)
    match node:
        case ast.Subscript(value=ast.Name(id="env"), slice=named):
            return named, "", plain
        case ast.Call(func=ast.Attribute(value=ast.Name(id="env"), attr="get"), args=[named, *rest]):
            return named, _literal(rest[0], module) if rest else "", plain
        case ast.Call(func=ast.Name(id=function), args=[ast.Name(id="env"), named, *rest]):
            return named, _literal(rest[0], module) if rest else "", SECRET.get(function, plain)
    return None, "", plain


def _literal(node: ast.expr, module: Module) -> str:
    """Examples of addresses are tuples and texts with `://`, and no defaults."""
    value = module.value(node.id) if isinstance(node, ast.Name) else getattr(node, "value", None)
    if not isinstance(value, str | int) or "://" in str(value):
        return ""
    return str(value)


def _names(named: ast.expr | None, function: ast.FunctionDef, module: Module) -> Iterator[str]:
    if text := _text(named, module):
        yield text
    elif isinstance(named, ast.Name):
        yield from _looped(named.id, function, module)


def _text(node: ast.expr | None, module: Module) -> str | None:
    """Of a literal, or of a name at the top of the module."""
    value = module.value(node.id) if isinstance(node, ast.Name) else text_of(node)
    return value if isinstance(value, str) else None


def _looped(variable: str, function: ast.FunctionDef, module: Module) -> Iterator[str]:
    """`for name in (…)`: each of the names."""
    for node in ast.walk(function):
        if isinstance(node, ast.comprehension | ast.For) and getattr(node.target, "id", "") == variable:
            if isinstance(node.iter, ast.Tuple):
                yield from filter(None, (_text(one, module) for one in node.iter.elts))
            elif isinstance(node.iter, ast.Name):
                value = module.value(node.iter.id)
                yield from value if isinstance(value, tuple) else ()


def written() -> str:
    """The page. Raises KeyError for a setting that nobody has said the meaning of."""
    settings = found()
    shared = {one.name for one in settings if one.read_in in ALL} | set(OF_PYTHON)
    parts = [
        "Read once, at the start, from the environment. Options: [commands.md](commands.md).",
        "## Agent, bridge and relay", _table([one for one in settings if one.name in shared], OF_PYTHON),
    ]  # fmt: skip
    for title, package in (("Agent", "agent/"), ("Bridge, relay and worker", "bridge/")):
        own = [one for one in settings if one.name not in shared and one.read_in.startswith(package)]
        parts += [f"## {title}", _table(own)]
    parts += [
        "## What is passed on",
        f"Jobs at a site get these of the agent's environment, and nothing else: {codes(PASSED_ON)}.",
        f"uv, pip and npm at the bridge get {codes(sorted(GIVEN))}; and what begins with {codes(FAMILIES)}.",
    ]
    return page("Settings", *parts)


ALL: Final = ("agent/tls/outbound.py", "agent/credentials.py")


def _table(settings: Sequence[Setting], of_python: Sequence[str] = ()) -> str:
    rows = {one.name: [code(one.name), code(one.default), SETTINGS[one.name]] for one in settings}
    rows |= {name: [code(name), "", SETTINGS[name]] for name in of_python}
    return table(["setting", "default", "meaning"], rows.values())
