"""Debian's and Ubuntu's rabbitmq-server, installed without leaving a service behind."""

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev_tools.brokers.broker import NotHere
from dev_tools.places import RUN

COMMAND: Final = "apt-get install rabbitmq-server"
POLICY: Final = Path("/usr/sbin/policy-rc.d")  # asked before a package may start its service; 101 means no
INSTALL_S: Final = 900
UNITS: Final = ("rabbitmq-server.service", "epmd.socket", "epmd.service")


def install_rabbitmq() -> None:
    """Installs the package, its service neither started nor enabled. Raises `NotHere` with the mend."""
    if shutil.which("apt-get") is None:
        raise NotHere(
            "rabbitmq-server is not installed, and there is no apt-get; install it and run ./dev again"
        )
    if os.geteuid() != 0:
        raise NotHere(f"rabbitmq-server is not installed; type: sudo {COMMAND}    and run ./dev again")
    print("installing rabbitmq-server (once; about a minute)", flush=True)
    had_epmd = shutil.which("epmd") is not None
    with _services_stay_down():
        _apt("update")
        _apt("install", "--yes", "--no-install-recommends", "rabbitmq-server")
    _disable(UNITS[:1] if had_epmd else UNITS)


@contextmanager
def _services_stay_down() -> Iterator[None]:
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


def _disable(units: tuple[str, ...]) -> None:
    """The units that we brought do not come up at the next boot either."""
    if Path("/run/systemd/system").exists():
        subprocess.run(["systemctl", "disable", "--quiet", *units], check=False, stdin=subprocess.DEVNULL)


def _apt(*arguments: str) -> None:
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
        raise NotHere(
            f"'apt-get {' '.join(arguments)}' failed, see .run/log/apt.log; type it yourself: {COMMAND}"
        )
