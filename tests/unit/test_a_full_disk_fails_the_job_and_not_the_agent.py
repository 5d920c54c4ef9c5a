"""In user and mount namespaces of its own, so that the disk can be a small one without being root."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = """
import asyncio, sys
from pathlib import Path
from agent.executor.limits import Limits
from agent.executor.process import Executor
from agent.executor.task import Stop, Task

disk = Path(sys.argv[1])
(disk / "filler").write_bytes(bytes(int(sys.argv[2])))
code = "echo " + "x" * 40_000
task = Task(job_id="1", language="bash", code=code, args=b"{}", env={}, timeout_s=None, path=None)
outcome = asyncio.run(Executor(disk / "work", Limits()).run(task, lambda text: None, Stop()))
print(outcome.result.decode())
"""
MOUNT = 'mount -t tmpfs -o size=64k none "$1" && exec "$2" -c "$3" "$1" "$4"'


def outcome_on_a_disk_with(filled_bytes: int, disk: Path) -> dict[str, str]:
    argv = ["unshare", "-rm", "sh", "-c", MOUNT, "sh", str(disk), sys.executable, PROGRAM, str(filled_bytes)]
    ran = subprocess.run(argv, capture_output=True, text=True, check=True, timeout=60)
    found: dict[str, str] = json.loads(ran.stdout)
    return found


def may_mount() -> bool:
    probe = ["unshare", "-rm", "mount", "-t", "tmpfs", "none", "/mnt"]
    return shutil.which("unshare") is not None and subprocess.run(probe, capture_output=True).returncode == 0  # noqa: PLW1510 the code is the answer


@pytest.mark.skipif(not may_mount(), reason="this machine allows no mount namespaces to its users")
def test_the_error_names_the_disk_and_the_mend(tmp_path: Path) -> None:
    error = outcome_on_a_disk_with(45_000, tmp_path)
    assert error["name"] == "JobDirectoryFailed"
    assert "No space left on device" in error["message"]
    assert "free some space" in error["message"]
