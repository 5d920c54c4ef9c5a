"""The packages and the scripts that a JavaScript or TypeScript script imports. Pure; nothing of it is run."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache
from posixpath import dirname, join, normpath
from typing import Final

# What stands between imports and must not be taken for one: comments, texts, templates. Then the imports.
TOKEN: Final = re.compile(
    r"""
    (?P<skip>//[^\n]*|/\*.*?(?:\*/|\Z)|`(?:\\(?:.|\Z)|[^`\\])*(?:`|\Z))
  | \b(?:import|export)\s+type\b[^;'"`]{0,600}?\bfrom\s*(?:'[^'\n]*'|"[^"\n]*")
  | \b(?:import|export)\b(?:[\w\s{},*$]{0,600}?\bfrom)?\s*(?P<stated>'[^'\n]+'|"[^"\n]+")
  | \b(?:import|require)\s*\(\s*(?P<called>'[^'\n]+'|"[^"\n]+")\s*\)
  | '(?:\\(?:.|\Z)|[^'\\\n])*(?:'|(?=\n)|\Z) | "(?:\\(?:.|\Z)|[^"\\\n])*(?:"|(?=\n)|\Z)
    """,
    re.VERBOSE | re.DOTALL,
)
PACKAGE: Final = re.compile(r"(?P<name>(?:@[\w.~-]+/)?[\w~][\w.~-]*)(?:@(?P<version>[^/\s]+))?(?:/.*)?")
SUFFIX: Final = re.compile(r"\.(?:[cm]?[jt]sx?)$")
LATEST: Final = "latest"
REMEMBERED: Final = 64  # scripts: one is looked at when it is deployed, locked, handed out, imported
READ_MAX_CHARS: Final = 100_000  # of a script; nobody imports further down (I6)
OF_NODE: Final = frozenset({
    "assert", "async_hooks", "buffer", "child_process", "cluster", "console", "constants", "crypto",
    "dgram", "diagnostics_channel", "dns", "domain", "events", "fs", "http", "http2", "https",
    "inspector", "module", "net", "os", "path", "perf_hooks", "process", "punycode", "querystring",
    "readline", "repl", "stream", "string_decoder", "sys", "timers", "tls", "trace_events", "tty",
    "url", "util", "v8", "vm", "wasi", "worker_threads", "zlib", "bun",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class JavaScriptNeeds:
    packages: Mapping[str, str]  # npm's name to a version or a range
    scripts: tuple[str, ...]  # paths of the workspace
    foreign: tuple[str, ...]  # addresses, which npm cannot lock


@lru_cache(maxsize=REMEMBERED)
def needs_of(code: str, path: str | None) -> JavaScriptNeeds:
    """`path`: the script's own, from which `./other` counts."""
    packages: dict[str, str] = {}
    scripts, foreign = dict[str, None](), dict[str, None]()
    for name in _imported(code):
        if (script := _script(name, path)) is not None:
            scripts[script] = None
        elif ":" in name.removeprefix("npm:"):
            if not name.startswith(("node:", "bun:")):
                foreign[name] = None
        elif (found := PACKAGE.fullmatch(name.removeprefix("npm:"))) is not None and (
            found["name"] not in OF_NODE and packages.get(found["name"], LATEST) == LATEST
        ):
            packages[found["name"]] = found["version"] or LATEST
    return JavaScriptNeeds(packages, tuple(scripts), tuple(foreign))


def _imported(code: str) -> Iterator[str]:
    for found in TOKEN.finditer(code[:READ_MAX_CHARS]):
        if (text := found["stated"] or found["called"]) is not None:
            yield text[1:-1]


def _script(name: str, path: str | None) -> str | None:
    """The path of the workspace's script that is meant; None: it is no script."""
    if name.startswith(("./", "../")):
        whole = normpath(join("/", dirname(path or ""), name))
    elif name.startswith(("/f/", "/u/")):
        whole = normpath(name)
    else:
        return None
    return SUFFIX.sub("", whole).removeprefix("/")
