"""The repository works anywhere: no path of somebody's machine, no host that packages come from."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Final

from tests.meta.tree import texts

SOMEBODYS_FOLDER: Final = re.compile(r"/(?:home|Users|work)/\w+/|/tmp/w/")
KNOWN: Final = (
    r"pypi\.org",
    r"pythonhosted\.org",
    r"registry\.npmjs\.org",
    r"deb\.debian\.org",
    r"archive\.ubuntu",
)
LOCAL: Final = {"localhost", "127.0.0.1"}


def registry_hosts() -> re.Pattern[str]:
    """The well-known ones, and those that this machine is set up to use."""
    said = subprocess.run(
        [sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False
    ).stdout
    said += " ".join(text for name, text in os.environ.items() if name.startswith("PIP_"))
    for source in Path("/etc/apt").glob("sources.list*/*"):
        said += source.read_text(errors="ignore")
    configured = set(re.findall(r"https?://(?:[^\s/@]*@)?([\w.-]+)", said)) - LOCAL
    return re.compile("|".join([*KNOWN, *map(re.escape, configured)]), re.IGNORECASE)


def places_of(pattern: re.Pattern[str]) -> list[str]:
    return [
        f"{path}:{number}"
        for path, text in texts()
        if path.name != Path(__file__).name
        for number, line in enumerate(text.splitlines(), 1)
        if pattern.search(line)
    ]


def test_no_file_names_a_folder_of_somebodys_machine() -> None:
    assert places_of(SOMEBODYS_FOLDER) == []


def test_no_file_names_a_package_registry() -> None:
    assert places_of(registry_hosts()) == []
