"""What this site says of itself, so that bundles can be made for it: its interpreters, libc and machine."""

import asyncio
import contextlib
import json
import os
import platform
import shutil
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Final

import structlog

log = structlog.get_logger()

Said = Callable[..., Awaitable[str]]

ASK_S: Final = 10.0
ABOUT: Final = """
import json, platform, sys
print(json.dumps({
    "python": platform.python_version(),
    "implementation": sys.implementation.name,
    "libc": " ".join(platform.libc_ver()),
}))
"""


async def facts(python: str | None, node: str | None = None, *, within_s: float = ASK_S) -> dict[str, str]:
    """Of the interpreters that jobs get. One that does not answer is left out: it runs no job either."""
    said = partial(_said, within_s=within_s)
    found = {"machine": platform.machine(), **await _of_python(python, said)}
    if version := await said([node or shutil.which("node") or "", "--version"]):
        found["node"] = version.lstrip("v")
    return {name: value for name, value in found.items() if value}


async def _of_python(path: str | None, said: Said) -> dict[str, str]:
    if path is None:
        return {}
    if path == sys.executable:
        libc = " ".join(platform.libc_ver())
        found = {"python": platform.python_version(), "implementation": sys.implementation.name, "libc": libc}
    else:
        try:
            found = dict(json.loads(await said([path, "-I", "-c", ABOUT]) or "{}"))
        except ValueError:
            found = {}
    return found | {"libc": await _libc(found.get("libc", "").strip(), said)}


async def _libc(told: str, said: Said) -> str:
    """The standard library knows of glibc only."""
    if told.startswith("glibc"):
        return told
    loaders = [name for name in _names("/lib") if name.startswith("ld-musl-")]
    text = await said([f"/lib/{loaders[0]}"], of_errors=True) if loaders else ""
    version = next((line.split()[1] for line in text.splitlines() if line.startswith("Version ")), "")
    return f"musl {version}" if version else ""


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)  # noqa: PTH208 names only
    except OSError:
        return []


async def _said(command: list[str], *, within_s: float, of_errors: bool = False) -> str:
    """What a program prints, asked as jobs ask it; empty when it is not there, fails or hangs."""
    if not command[0]:
        return ""
    env = {"PATH": os.environ.get("PATH", os.defpath)}
    try:
        process = await asyncio.create_subprocess_exec(
            *command, stdin=DEVNULL, stdout=PIPE, stderr=PIPE, env=env
        )
    except (OSError, ValueError) as error:
        log.warning("interpreter.silent", program=command[0], reason=str(error))
        return ""
    try:
        async with asyncio.timeout(within_s):
            said, of_trouble = await process.communicate()
    except TimeoutError:
        log.warning("interpreter.silent", program=command[0], reason=f"no answer within {within_s:.0f} s")
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
        return ""
    return (of_trouble if of_errors else said).decode(errors="replace").strip()
