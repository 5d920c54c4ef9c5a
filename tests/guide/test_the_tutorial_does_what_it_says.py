"""docs/tutorial.md, line by line, in one shell: its `sh` blocks, and the broker's address pasted."""

import os
import re
import subprocess
import sys
from pathlib import Path

from dev_tools.brokers.bridges import introduce
from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import clear_below
from tests.support.world import environment

BLOCK = re.compile(r"^```(sh|text)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
ENDS_S = 120  # as slow as a crowded machine may be
STOPS_ALL = "trap 'kill $(jobs -p) 2> /dev/null || true' EXIT"


def script(settings: dict[str, str]) -> str:
    """What a reader types; he pastes what `./dev broker` has printed."""
    pasted = "\n".join(f"export {name}='{text}'" for name, text in settings.items())
    blocks = BLOCK.findall((ROOT / "docs" / "tutorial.md").read_text())
    assert [language for language, _ in blocks].count("text") == 1
    return "\n".join(["set -e", STOPS_ALL, *(pasted if kind == "text" else code for kind, code in blocks)])


def test_every_line_of_it_runs(amqp_url: str, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    folder, log = tmp_path / "orvanta-tutorial", tmp_path / "log"
    told = introduce(amqp_url, f"http://127.0.0.1:{port}", folder / "bridge.db")
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    env = environment({"HOME": str(tmp_path), "BRIDGE_PORT": str(port), "PATH": path})
    with log.open("wb") as out:
        ended = subprocess.run(
            ["bash", "-c", script({"AMQP_URL": amqp_url, **told})],
            env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=out, timeout=ENDS_S, check=False,
        )  # fmt: skip
    left = clear_below(tmp_path)
    said = log.read_text()
    assert ended.returncode == 0, said[-3000:]
    assert "hello from the till" in said
    assert "1 sold" in said
    assert re.findall(r'"result":"?(\d+)', said) == ["42", "43"]
    assert not left
    assert not folder.exists()
