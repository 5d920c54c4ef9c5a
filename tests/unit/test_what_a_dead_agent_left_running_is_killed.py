import os
import signal
import subprocess
import sys
from pathlib import Path

from agent.executor.limits import Limits
from agent.executor.process import Executor
from tests.unit.executing import has_ended

AGENT = """
import asyncio, sys
from pathlib import Path
from agent.executor.limits import Limits
from agent.executor.process import Executor
from agent.executor.task import Stop, Task

job_id, code = sys.argv[2:]
task = Task(job_id=job_id, language="bash", code=code, args=b"{}", env={}, timeout_s=None, path=None)
sink = lambda text: print(text, end="", flush=True)
asyncio.run(Executor(Path(sys.argv[1]), Limits()).run(task, sink, Stop()))
"""
JOB_WITH_CHILDREN = (
    "trap '' TERM HUP PIPE; echo $$; sleep 300 & echo $!; setsid sleep 300 & echo $!; echo up; wait"
)


def job_of_a_dead_agent(work_dir: Path, code: str = JOB_WITH_CHILDREN, job_id: str = "job-1") -> list[int]:
    """The processes of a job whose agent died of kill -9 in the middle of it."""
    agent = subprocess.Popen(
        [sys.executable, "-c", AGENT, str(work_dir), job_id, code], stdout=subprocess.PIPE, text=True
    )
    assert agent.stdout is not None
    pids = [int(line) for line in iter(agent.stdout.readline, "up\n")]
    agent.send_signal(signal.SIGKILL)
    agent.wait()
    agent.stdout.close()
    return pids


def test_the_whole_group_is_gone_when_the_call_returns(tmp_path: Path) -> None:
    pids = job_of_a_dead_agent(tmp_path)
    assert len(pids) == 3
    assert not any(has_ended(pid, within_s=0) for pid in pids)
    assert Executor(tmp_path, Limits()).kill_leftovers() == 1
    assert all(has_ended(pid) for pid in pids)
    assert list(tmp_path.iterdir()) == []


def test_children_whose_parent_is_dead_are_found_as_well(tmp_path: Path) -> None:
    leader, *children = job_of_a_dead_agent(tmp_path)
    os.kill(leader, signal.SIGKILL)
    assert has_ended(leader)
    assert Executor(tmp_path, Limits()).kill_leftovers() == 1
    assert all(has_ended(pid) for pid in children)


def test_a_process_that_got_the_number_since_is_let_be(tmp_path: Path) -> None:
    stranger = subprocess.Popen(["sleep", "300"], start_new_session=True)
    try:
        (tmp_path / "job-1").mkdir()
        boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        (tmp_path / "job-1.pid").write_text(f"{stranger.pid} 1 {boot_id}")
        (tmp_path / "job-2").mkdir()
        (tmp_path / "job-2.pid").write_text("torn")
        assert Executor(tmp_path, Limits()).kill_leftovers() == 0
        assert stranger.poll() is None
        assert list(tmp_path.iterdir()) == []
    finally:
        stranger.kill()
        stranger.wait()


def test_there_is_nothing_to_do_at_a_first_start(tmp_path: Path) -> None:
    assert Executor(tmp_path / "none", Limits()).kill_leftovers() == 0
