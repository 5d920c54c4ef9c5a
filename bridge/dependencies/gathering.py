"""What a script needs together with all the scripts of the workspace that it imports. Pure but for `find`."""

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from bridge.dependencies import javascript_imports, python_needs, python_version
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.locks import BUN, NOTHING, OF_NPM, PYTHON, PythonLock
from bridge.dependencies.python_imports import Import
from bridge.dependencies.python_needs import Rank, Requirement

Find = Callable[[str], str | None]  # the content of the script at a path of the workspace

REQUIREMENT_MAX_CHARS: Final = 500
SCRIPTS_MAX: Final = 200  # that one script may import, each counted once (I6)
MAY_IMPORT: Final = re.compile(r"\bfrom\s*\.|\b[fu]\.|\b(?:from|import)\s+[fu]\b")  # spares parsing
VERSIONS: Final = r"\s*(?:(?:===?|[<>]=?|~=|!=)\s*[\w.*+!-]+\s*,?\s*)*"
# A requirement by its name: no option, no address, no folder, for those run or read what they name.
BY_NAME: Final = re.compile(
    rf"[A-Za-z0-9](?:[\w.-]*[A-Za-z0-9])?\s*(?:\[[\w.,\s-]*\])?(?:{VERSIONS}|\s*\({VERSIONS}\)\s*)(?:;[^@\n]*)?"
)


@dataclass(frozen=True, slots=True)
class PythonRequest:
    """What is asked of the resolver."""

    version: str
    requirements: tuple[str, ...]

    def __str__(self) -> str:
        return f"Python {self.version}: {', '.join(self.requirements) or 'nothing'}"

    def settled(self) -> str | None:
        """The lock, where nothing has to be looked up."""
        return None if self.requirements else str(PythonLock(self.version))


@dataclass(frozen=True, slots=True)
class NpmRequest:
    packages: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        return f"npm: {', '.join(f'{name}@{version}' for name, version in self.packages) or 'nothing'}"

    def settled(self) -> str | None:
        return None if self.packages else NOTHING


Request = PythonRequest | NpmRequest


def request_of(language: str, code: str, path: str | None, find: Find) -> Request:
    """Raises `NotResolved`."""
    return python_request(code, path, find) if language == PYTHON else npm_request(code, path, find)


def imported_by(language: str, code: str, path: str | None, find: Find) -> tuple[str, ...]:
    """The paths of the scripts that this one imports itself: where there is none yet, one may come."""
    if language == PYTHON:
        found = (
            where for one in python_needs.needs_of(code).scripts for where in _places(one, path or "", find)
        )
        return tuple(dict.fromkeys(found))
    return javascript_imports.needs_of(code, path).scripts


def imports_scripts(language: str, code: str, path: str | None) -> bool:
    """Whether it imports any of the workspace itself."""
    if language == PYTHON:
        return MAY_IMPORT.search(code) is not None and bool(python_needs.needs_of(code).scripts)
    return language in OF_NPM and bool(javascript_imports.needs_of(code, path).scripts)


def scripts_of(language: str, code: str, path: str | None, find: Find) -> dict[str, str]:
    """All scripts that this one imports, by however many others: their code by their paths, without its own.

    Raises `NotResolved` when there are too many.
    """
    found: dict[str, str] = {}
    waiting = [(path, code)]
    while waiting:
        at, text = waiting.pop()
        for where in imported_by(language, text, at, find):
            content = None if where in found or where == path else find(where)
            if content is None:
                continue
            if len(found) >= SCRIPTS_MAX:
                raise NotResolved(
                    f"more than {SCRIPTS_MAX} scripts are imported, one by another; import fewer"
                )
            found[where] = content
            waiting.append((where, content))
    return found


def python_request(code: str, path: str | None, find: Find) -> PythonRequest:
    """Raises `NotResolved`."""
    texts = [code, *scripts_of(PYTHON, code, path, find).values()]
    needs = [python_needs.needs_of(text) for text in texts]
    for one in needs:
        if one.wrong is not None:
            raise NotResolved(one.wrong)
    version = python_version.chosen(asked for one in needs for asked in one.versions)
    requirements = list(strongest([requirement for one in needs for requirement in one.requirements]))
    for text in requirements:
        if len(text) > REQUIREMENT_MAX_CHARS or BY_NAME.fullmatch(text) is None:
            raise NotResolved(
                f"{text[:REQUIREMENT_MAX_CHARS]!r} is no requirement that can be locked; write a name and a "
                "version, such as `httpx==0.28.1` (no options, folders or addresses: put such a package into "
                "an index)"
            )
    return PythonRequest(version, tuple(requirements))


def strongest(requirements: Sequence[Requirement]) -> Iterator[str]:
    """`repin` beats `pin`, which beats what was only said; each text once, sorted."""
    rank: dict[str, Rank] = {}
    for one in requirements:
        rank[one.module] = max(one.rank, rank.get(one.module, Rank.SAID))
    yield from sorted({one.text for one in requirements if one.rank is rank[one.module]})


def _places(one: Import, path: str, find: Find) -> Sequence[str]:
    """The scripts that are meant: the module itself, else what is taken from it."""
    parts = one.module.split(".") if one.module else []
    if one.level:
        folders = path.split("/")[: -one.level]
        parts = [*folders, *parts]
    itself = "/".join(parts)
    within = [f"{itself}/{name}" for name in one.names if name != "*"]
    if find(itself) is not None:
        return [itself]
    return [where for where in within if find(where) is not None] or [itself, *within]


def npm_request(code: str, path: str | None, find: Find) -> NpmRequest:
    """Raises `NotResolved`."""
    packages = dict[str, str]()
    imported = scripts_of(BUN, code, path, find)
    for at, text in [(path, code), *imported.items()]:
        needs = javascript_imports.needs_of(text, at)
        if needs.foreign:
            raise NotResolved(
                f"{needs.foreign[0]!r} cannot be locked: only packages of npm can; import one by its name"
            )
        for name, version in needs.packages.items():
            if packages.get(name, javascript_imports.LATEST) == javascript_imports.LATEST:
                packages[name] = version
            elif version not in (javascript_imports.LATEST, packages[name]):
                raise NotResolved(
                    f"{name} is asked for as {packages[name]} and as {version}; ask for one everywhere"
                )
    return NpmRequest(tuple(sorted(packages.items())))
