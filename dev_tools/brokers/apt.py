"""Debian's and Ubuntu's rabbitmq-server, installed without leaving a service behind."""

import shutil
import subprocess
from pathlib import Path
from typing import Final

from dev_tools.apt import CannotInstall, ask, install, services_stay_down
from dev_tools.brokers.broker import NotHere

UNITS: Final = ("rabbitmq-server.service", "epmd.socket", "epmd.service")


def install_rabbitmq() -> None:
    """Installs the package, its service neither started nor enabled. Raises `NotHere` with the mend."""
    had_epmd = shutil.which("epmd") is not None
    try:
        ask("rabbitmq-server")
        with services_stay_down():
            install("rabbitmq-server")
    except CannotInstall as error:
        raise NotHere(str(error)) from error
    _disable(UNITS[:1] if had_epmd else UNITS)


def _disable(units: tuple[str, ...]) -> None:
    """The units that we brought do not come up at the next boot either."""
    if Path("/run/systemd/system").exists():
        subprocess.run(["systemctl", "disable", "--quiet", *units], check=False, stdin=subprocess.DEVNULL)
