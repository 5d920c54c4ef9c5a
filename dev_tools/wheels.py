"""`./dev wheels`: whether each pinned package comes as a wheel for every platform that we promise.

It asks the package index, by uv, so it is no part of the gate: call it when a pin has changed. It prints the
table of docs/install.md.
"""

import argparse
import subprocess
import sys
import tomllib
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dev_tools.lock import CONSTRAINTS
from dev_tools.places import ROOT

PYTHONS: Final = ("3.11", "3.12", "3.13", "3.14")
PLATFORMS: Final = {
    "x86-64, glibc 2.28 or newer": "x86_64-manylinux_2_28",
    "ARM64, glibc 2.28 or newer": "aarch64-manylinux_2_28",
    "x86-64, musl 1.2": "x86_64-unknown-linux-musl",
    "ARM64, musl 1.2": "aarch64-unknown-linux-musl",
}


def main(arguments: Sequence[str]) -> int:
    """The exit code: 1 where one is missing."""
    parser = argparse.ArgumentParser(prog="./dev wheels")
    parser.add_argument("--extra", metavar="NAME", help="the packages of this extra too, such as bridge")
    needs = needed(parser.parse_args(arguments).extra)
    print("| platform |" + "".join(f" Python {one} |" for one in PYTHONS))
    print("|---|" + "---|" * len(PYTHONS))
    missing = 0
    for name, platform in PLATFORMS.items():
        reasons = [why_not(needs, python, platform) for python in PYTHONS]
        missing += sum(map(bool, reasons))
        print(f"| {name} |" + "".join(f" {one or 'all'} |" for one in reasons), flush=True)
    return 1 if missing else 0


def needed(extra: str | None) -> list[str]:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    more = project["optional-dependencies"][extra] if extra else []
    return [*project["dependencies"], *more]


def why_not(needs: Sequence[str], python: str, platform: str) -> str:
    """Empty where all that is needed, and what that needs, comes as wheels; else the index's own words."""
    command = [str(Path(sys.executable).with_name("uv")), "pip", "compile", "-", "--quiet"]
    command += ["--only-binary", ":all:", "--constraint", str(CONSTRAINTS)]
    command += ["--python-version", python, "--python-platform", platform]
    asked = "\n".join(needs)
    ended = subprocess.run(command, input=asked, capture_output=True, text=True, check=False)
    return "" if ended.returncode == 0 else " ".join(ended.stderr.split())
