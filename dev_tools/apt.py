"""Packages of Debian and Ubuntu that tests stand on, installed where we may; nothing is left running."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev_tools.places import RUN

INSTALL_S: Final = 900
POLICY: Final = Path("/usr/sbin/policy-rc.d")  # asked before a package may start its service; 101 means no


class CannotInstall(Exception):
    """The package is not here and we may not or cannot install it; the text says how to mend it."""


def install(package: str) -> None:
    """Installs it with as little beside it as possible. Raises `CannotInstall` with the mend."""
    ask(package)
    print(f"installing {package} (once)", flush=True)
    _apt(package, "update")
    _apt(package, "install", "--yes", "--no-install-recommends", package)


@contextmanager
def services_stay_down() -> Iterator[None]:
    """While inside, packages start no service. A policy that the machine has already stays in force."""
    if POLICY.exists():
        yield
        return
    POLICY.write_text("#!/bin/sh\nexit 101\n")
    POLICY.chmod(0o755)
    try:
        yield
    finally:
        POLICY.unlink(missing_ok=True)


def ask(package: str) -> None:
    """Whether this user may install it here. Raises `CannotInstall` with the mend."""
    if shutil.which("apt-get") is None:
        raise CannotInstall(
            f"{package} is not installed, and there is no apt-get; install it and run ./dev again"
        )
    if os.geteuid() != 0:
        raise CannotInstall(
            f"{package} is not installed; type: sudo apt-get install {package}    and run ./dev again"
        )


def _apt(package: str, *arguments: str) -> None:
    log = RUN / "log" / "apt.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    with log.open("ab") as out:
        ended = subprocess.run(
            ["apt-get", *arguments],
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=subprocess.STDOUT,
            timeout=INSTALL_S,
            check=False,
        )
    if ended.returncode:
        raise CannotInstall(
            f"'apt-get {' '.join(arguments)}' failed, see .run/log/apt.log; "
            f"type it yourself: apt-get install {package}"
        )
