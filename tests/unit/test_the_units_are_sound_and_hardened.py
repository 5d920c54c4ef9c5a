"""deploy/systemd, as systemd's own tool reads it."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Final

import pytest

from dev_tools.places import ROOT

UNITS: Final = ROOT / "deploy" / "systemd"
SAFER: Final = "orvanta-agent.service.d/jobs-of-their-own.conf"
WORST: Final = {
    "agent": 2.0,
    "bridge": 2.0,
    "agent with root": 3.6,
}  # of 10; docs/install.md says how it is on Debian 12
NEWER: Final = "Unknown key 'RestartMode' in section [Service], ignoring."  # systemd has it since 254
PROGRAM: Final = re.compile(r"/opt/orvanta(/current|-bridge)/bin/orvanta-(agent|bridge)")

pytestmark = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="needs systemd-analyze: apt-get install systemd"
)


def analyze(*words: str | Path) -> str:
    command = ["systemd-analyze", *map(str, words)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    said = "\n".join(line for line in (ended.stdout + ended.stderr).splitlines() if NEWER not in line)
    assert ended.returncode == 0, said
    return said


def installed(folder: Path, name: str, *, with_root: bool = False) -> Path:
    """A copy that names programs which this machine has, so that only the unit is judged."""
    files = {f"orvanta-{name}.service": UNITS / f"orvanta-{name}.service"}
    if with_root:
        files[SAFER] = UNITS / "jobs-of-their-own.conf"
    for place, source in files.items():
        (folder / place).parent.mkdir(exist_ok=True)
        (folder / place).write_text(PROGRAM.sub("/bin/true", source.read_text()))
    return folder / f"orvanta-{name}.service"


@pytest.mark.parametrize("what", WORST)
def test_systemd_finds_nothing_wrong_and_little_exposed(what: str, tmp_path: Path) -> None:
    name, _, root = what.partition(" ")
    unit = installed(tmp_path, name, with_root=bool(root))
    assert analyze("verify", "--man=no", unit) == ""
    found = re.search(r"exposure level for \S+: ([\d.]+)", analyze("security", "--offline=true", unit))
    assert found is not None
    assert float(found[1]) <= WORST[what]


def test_a_mistake_would_be_found(tmp_path: Path) -> None:
    unit = installed(tmp_path, "agent")
    unit.write_text(unit.read_text().replace("SetCredential=spool_key:\\n", "SetCredential=spool_key:"))
    assert "Invalid syntax" in analyze("verify", "--man=no", unit)
