"""Locks python3 by `uv pip compile`, for every Linux and every Python from the script's on.

Only wheels are looked at: to learn what a source distribution needs, its code would have to be run here.
"""

import re
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from uv import find_uv_bin

from bridge.dependencies import commands
from bridge.dependencies.commands import Say
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import PythonRequest
from bridge.dependencies.locks import Pin, PythonLock, pin
from bridge.dependencies.resolution import Resolution
from bridge.dependencies.tools import without_passwords

LINUX: Final = "sys_platform == 'linux'"
PROJECT: Final = f'[tool.uv]\nenvironments = ["{LINUX}"]\n'
STRATEGY: Final = "UV_INDEX_STRATEGY"
NO_WHEEL: Final = re.compile(r"[Ww]heels are required for `([^`]+)`")
HASH: Final = "--hash="
OPTIONS: Final = (
    "--universal", "--fork-strategy", "fewest", "--only-binary", ":all:", "--generate-hashes", "--no-header",
    "--no-annotate", "--no-python-downloads", "--no-progress", "--color", "never",
)  # fmt: skip


async def compile_lock(
    request: PythonRequest, folder: Path, environment: Mapping[str, str], say: Say
) -> Resolution:
    """Raises `NotResolved`."""
    (folder / "pyproject.toml").write_text(PROJECT)
    (folder / "requirements.in").write_text("\n".join(request.requirements) + "\n")
    command = [
        find_uv_bin(), "pip", "compile", "requirements.in", *OPTIONS,
        "--python-version", request.version, "--python", sys.executable,
    ]  # fmt: skip
    finished = await commands.run(command, folder, _environment(folder, environment), say)
    if finished.code != 0:
        raise NotResolved(_why(request, finished.said))
    hashes = dict(_hashes(finished.output.decode()))
    lock = PythonLock(request.version, tuple(hashes))
    return Resolution(str(lock), {one.key: ones for one, ones in hashes.items()})


def _environment(folder: Path, given: Mapping[str, str]) -> dict[str, str]:
    environment = {STRATEGY: "unsafe-best-match", **given}
    if "HOME" not in given and "UV_CACHE_DIR" not in given:
        environment["UV_CACHE_DIR"] = str(folder / "cache")
    return environment


def _why(request: PythonRequest, said: str) -> str:
    told = without_passwords(said.strip())
    if (missing := NO_WHEEL.search(said)) is not None:
        return (
            f"{missing[1]} has no wheel that can be used, and nothing is built from its source here: pin "
            f"a version that has one (`# pin: {missing[1]}==…` on its import), or put a wheel into an index "
            f"of your own (PIP_EXTRA_INDEX_URL of the worker).\n{told}"
        )
    return f"uv finds no packages for Python {request.version}: {', '.join(request.requirements)}\n{told}"


def _hashes(text: str) -> Iterator[tuple[Pin, list[str]]]:
    """Each pin with its files' hashes, which stand on the lines that it is continued on."""
    for whole in text.replace("\\\n", " ").splitlines():
        stated, *hashes = whole.split(HASH)
        found = pin(stated)
        if found is not None:
            marker = None if found.marker is None else everywhere_on_linux(found.marker)
            yield Pin(found.name, found.version, marker), [one.strip() for one in hashes]


def everywhere_on_linux(marker: str) -> str | None:
    """The marker without what is true at every agent; None: nothing is left."""
    left = marker.replace(f" and {LINUX}", "").replace(f"{LINUX} and ", "")
    return None if left == LINUX else left
