"""Debian's and Ubuntu's rabbitmq-server, installed without leaving a service behind."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev_tools.apt import CannotInstall, ask, install
from dev_tools.brokers.broker import NotHere

POLICY: Final = Path("/usr/sbin/policy-rc.d")  # asked before a package may start its service; 101 means no
UNITS: Final = ("rabbitmq-server.service", "epmd.socket", "epmd.service")


def install_rabbitmq() -> None:
    """Installs the package, its service neither started nor enabled. Raises `NotHere` with the mend."""
    had_epmd = shutil.which("epmd") is not None
    try:
        ask("rabbitmq-server")
        with _services_stay_down():
            install("rabbitmq-server")
    except CannotInstall as error:
        raise NotHere(str(error)) from error
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
