"""An agent tells which Python and node its jobs get, so that bundles are made for them, not its own."""

import platform
import sys
from pathlib import Path

from agent.bundles.platform import facts
from agent.wire.bundles import is_platform, platform_of


async def test_its_own_python_is_known_without_a_process() -> None:
    known = await facts(sys.executable, "/no/node")
    assert known["python"] == platform.python_version()
    assert known["implementation"] == sys.implementation.name
    assert known["machine"] == platform.machine()
    assert "node" not in known
    assert is_platform(platform_of("python3", known))


def script(path: Path, text: str) -> str:
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return str(path)


async def test_another_python_is_asked(tmp_path: Path) -> None:
    said = '{"python": "3.12.4", "implementation": "cpython", "libc": "glibc 2.31"}'
    known = await facts(
        script(tmp_path / "python", f"echo '{said}'"), script(tmp_path / "node", "echo v22.3.0")
    )
    assert (known["python"], known["libc"], known["node"]) == ("3.12.4", "glibc 2.31", "22.3.0")
    assert platform_of("python3", known).startswith("cp312-glibc_2_31-")
    assert platform_of("node", known).startswith("node22-")


async def test_one_that_says_nothing_is_left_out(tmp_path: Path) -> None:
    for text in ("exit 1", "echo no json", "echo '{}'"):
        known = await facts(script(tmp_path / "python", text), "/no/node")
        assert "python" not in known
        assert platform_of("python3", known) == ""
    assert "python" not in await facts("/no/python", "/no/node")
    assert "python" not in await facts(None, "/no/node")


async def test_one_that_hangs_keeps_nobody(tmp_path: Path) -> None:
    hangs = script(tmp_path / "python", "exec sleep 60")
    assert "python" not in await facts(hangs, "/no/node", within_s=0.2)
