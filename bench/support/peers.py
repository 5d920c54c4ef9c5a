"""Celery's side: a prefork worker with a process per slot, late acks, and results in SQLite."""

import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

from bench.support import proc
from bench.support.work import SLOTS, SOURCE, JobWentWrong, Work, surroundings
from dev_tools.places import ROOT
from dev_tools.processes import Running


class Celery:
    name = "Celery 5.7"
    works: Sequence[Work] = (Work.BASH, Work.PYTHON3, Work.IN_PROCESS)

    def __init__(self, worker: Running, tasks: Any, store: Path) -> None:
        self.worker = worker
        self._tasks = tasks
        self._store = store
        self._local = threading.local()

    def submit(self, work: Work) -> str:
        if work is Work.IN_PROCESS:
            sent = self._tasks.in_process.apply_async()
        else:
            task = self._tasks.bash if work is Work.BASH else self._tasks.python3
            sent = task.apply_async((SOURCE[work],))
        return str(sent.id)

    def are_recorded(self, total: int) -> bool:
        done = dict(self._rows("SELECT status, count(*) FROM celery_taskmeta GROUP BY status"))
        if done.keys() - {"SUCCESS"}:
            raise JobWentWrong(f"a no-op failed in Celery: {done}; its log:\n{self.worker.text()[-2000:]}")
        return int(done.get("SUCCESS", 0)) >= total

    def recorded(self, job_ids: Sequence[str]) -> list[str]:
        return [one for one in job_ids if self._rows("SELECT 1 FROM celery_taskmeta WHERE task_id = ?", one)]

    def cpu_s(self) -> dict[str, float]:
        own, processes = proc.cpu_s(self.worker.pid)[0], 0.0
        for pid in proc.children(self.worker.pid):
            slot, jobs = proc.cpu_s(pid)
            own, processes = own + slot, processes + jobs
        return {"worker": own, "jobs": processes}

    def _rows(self, sql: str, *values: str) -> list[Any]:
        """Read in the store itself: cheaper for Celery than asking through its own client."""
        if not hasattr(self._local, "reader"):
            self._local.reader = sqlite3.connect(self._store, isolation_level=None)
        try:
            return list(self._local.reader.execute(sql, values))
        except sqlite3.OperationalError:  # Celery makes the table with its first result
            return []


@contextmanager
def celery(amqp_url: str, folder: Path) -> Iterator[Celery]:
    """A worker that is starting. Its SQLite has a write-ahead log: the fastest that is still durable."""
    folder.mkdir(parents=True)
    store = folder / "results.db"
    with closing(sqlite3.connect(store)) as made:
        made.execute("PRAGMA journal_mode = WAL")  # kept in the file; synchronous is FULL by default
    ours = {"BENCH_AMQP_URL": amqp_url, "BENCH_RESULTS_URL": f"db+sqlite:///{store}"}
    os.environ.update(ours)  # read by the application when the bench itself imports it
    words = [sys.executable, "-m", "celery", "-A", "bench.support.celery_app", "worker"]
    words += ["--pool", "prefork", "--concurrency", str(SLOTS), "--loglevel", "WARNING"]
    words += ["--without-gossip", "--without-mingle"]
    worker = Running(words, env=surroundings() | ours, log=folder / "celery.log", cwd=ROOT)
    try:
        yield Celery(worker, import_module("bench.support.celery_app"), store)
    finally:
        worker.stop()
        with suppress(ProcessLookupError):
            os.killpg(worker.pid, signal.SIGKILL)  # its pool, should it have died without putting it away
