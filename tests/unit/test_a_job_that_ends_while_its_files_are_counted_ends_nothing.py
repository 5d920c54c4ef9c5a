"""The watch counts the files of running jobs; jobs end, and their folders go, in that very moment."""

import shutil
import threading
from pathlib import Path

from agent.spool.outside import used_below

ROUNDS = 200


def test_folders_may_come_and_go(tmp_path: Path) -> None:
    over = threading.Event()

    def jobs() -> None:
        while not over.is_set():
            deep = tmp_path / "job" / "shared" / "more"
            deep.mkdir(parents=True, exist_ok=True)
            (deep / "file").write_bytes(b"x" * 100)
            shutil.rmtree(tmp_path / "job")

    thread = threading.Thread(target=jobs)
    thread.start()
    try:
        assert all(used_below(tmp_path) in (0, 100) for _ in range(ROUNDS))
    finally:
        over.set()
        thread.join()


def test_every_file_counts(tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "one").write_bytes(b"x" * 10)
    (tmp_path / "a" / "b" / "two").write_bytes(b"x" * 5)
    assert used_below(tmp_path) == 15


def test_no_more_are_counted_than_a_look_has_time_for(tmp_path: Path) -> None:
    for number in range(3):
        (tmp_path / str(number)).write_bytes(b"x")
    assert used_below(tmp_path, most=2) == 2
