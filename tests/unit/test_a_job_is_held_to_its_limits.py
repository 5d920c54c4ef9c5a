from pathlib import Path

from agent.executor.limits import Limits
from tests.unit.executing import Site


async def test_memory(tmp_path: Path) -> None:
    code = "def main(): return len(bytearray(300 * 1024 * 1024))"
    ran = await Site(tmp_path, Limits(memory_mb=200)).python(code)
    assert ran.document["name"] == "MemoryError"
    assert (await Site(tmp_path).python(code)).outcome.success


async def test_the_size_of_a_file(tmp_path: Path) -> None:
    ran = await Site(tmp_path, Limits(file_mb=1)).bash("head -c 3000000 /dev/zero > big")
    assert not ran.outcome.success


async def test_the_number_of_open_files_is_set(tmp_path: Path) -> None:
    assert (await Site(tmp_path, Limits(open_files=77)).bash("ulimit -H -n")).document == "77"


async def test_no_core_is_written_and_the_kernel_takes_a_job_before_the_agent(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("ulimit -c; cat /proc/$$/oom_score_adj")
    assert ran.log == "0\n1000\n"


async def test_the_peak_of_memory_is_told_for_the_job_and_its_children(tmp_path: Path) -> None:
    code = """
import subprocess, sys
CHILD = "x = bytearray(100 << 20); import time; time.sleep(1)"
def main(): subprocess.run([sys.executable, "-c", CHILD], check=True)
"""
    ran = await Site(tmp_path).python(code)
    assert ran.outcome.mem_peak_kb is not None
    assert 100_000 < ran.outcome.mem_peak_kb < 200_000
