"""Writes constraints.txt: one exact version of everything that `.[bridge,dev,look,sql]` brings."""

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

from dev_tools.places import ROOT, RUN

HEAD: Final = (
    "# Written by `./dev lock` from pyproject.toml: all that ./dev installs, in one exact version.\n"
)
CONSTRAINTS: Final = ROOT / "constraints.txt"


def write_constraints() -> None:
    """Resolves anew, so packages that pyproject.toml leaves open may move. Raises `CalledProcessError`."""
    folder = RUN / "lock"
    shutil.rmtree(folder, ignore_errors=True)
    _run([sys.executable, "-m", "venv", str(folder)])
    settings = RUN / "build" / "setup.cfg"  # keeps setuptools from writing beside pyproject.toml
    python = str(folder / "bin" / "python")
    env = {**os.environ, "DIST_EXTRA_CONFIG": str(settings)}
    _run([python, "-m", "pip", "install", "-qq", "--editable", f"{ROOT}[bridge,dev,look,sql]"], env)
    frozen = _run([python, "-m", "pip", "freeze", "--exclude-editable", "--all", "--exclude", "pip"])
    CONSTRAINTS.write_text(HEAD + frozen)
    shutil.rmtree(folder)
    print(
        f"{Path(CONSTRAINTS).name}: {len(frozen.splitlines())} packages; ./dev installs them at its next call"
    )


def _run(command: list[str], env: dict[str, str] | None = None) -> str:
    ended = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, env=env)
    return ended.stdout
