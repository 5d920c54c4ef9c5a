"""Locks JavaScript and TypeScript by npm, which runs no code of any package for it."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from bridge.dependencies import commands
from bridge.dependencies.commands import Say
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import NpmRequest
from bridge.dependencies.locks import NpmLock
from bridge.dependencies.resolution import Resolution
from bridge.dependencies.tools import without_passwords

COMMAND: Final = (
    "npm", "install", "--package-lock-only", "--ignore-scripts", "--no-audit", "--no-fund",
    "--no-update-notifier", "--omit-lockfile-registry-resolved", "--loglevel", "error",
)  # fmt: skip
NAME: Final = "script"


async def npm_lock(request: NpmRequest, folder: Path, environment: Mapping[str, str], say: Say) -> Resolution:
    """Raises `NotResolved`."""
    package: dict[str, Any] = {"name": NAME, "private": True, "dependencies": dict(request.packages)}
    (folder / "package.json").write_text(json.dumps(package))
    cache = {} if "HOME" in environment else {"NPM_CONFIG_CACHE": str(folder / "cache")}
    finished = await commands.run(COMMAND, folder, cache | dict(environment), say)
    if finished.code != 0:
        asked = ", ".join(f"{name}@{version}" for name, version in request.packages)
        raise NotResolved(f"npm finds no packages for {asked}\n{without_passwords(finished.said.strip())}")
    lock: dict[str, Any] = json.loads((folder / "package-lock.json").read_bytes())
    exact = {name: lock["packages"][f"node_modules/{name}"]["version"] for name, _ in request.packages}
    lock["packages"][""]["dependencies"] = exact  # `latest` is another version tomorrow
    return Resolution(str(NpmLock(package | {"dependencies": exact}, lock)))
