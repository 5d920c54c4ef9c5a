"""The Celery application, as loaded by its worker and by the bench: durable wherever Celery can be."""

import os
import shutil
import subprocess
import sys

from celery import Celery

BASH = shutil.which("bash") or "bash"
ENDING = "\nimport json; print(json.dumps(main()))"  # a result has to come out of the process on both sides

app = Celery("bench", broker=os.environ["BENCH_AMQP_URL"], backend=os.environ["BENCH_RESULTS_URL"])
app.conf.update(
    task_acks_late=True,
    task_reject_on_worker_lost=True,
    task_default_delivery_mode="persistent",
    task_default_queue_type="quorum",  # as our own queues
    task_default_exchange_type="topic",  # Celery's quorum queues want it
    worker_detect_quorum_queues=True,
    broker_transport_options={"confirm_publish": True},
    broker_connection_retry_on_startup=True,
    task_serializer="json",
    accept_content=["json"],
    worker_send_task_events=False,
    worker_hijack_root_logger=False,
)


@app.task(name="bench.bash")  # type: ignore[untyped-decorator]  # Celery has no types
def bash(script: str) -> str:
    """Run a script in a process group of its own; its output is the result."""
    return _output([BASH, "-c", script])


@app.task(name="bench.python3")  # type: ignore[untyped-decorator]  # Celery has no types
def python3(script: str) -> str:
    return _output([sys.executable, "-u", "-B", "-c", script + ENDING])


@app.task(name="bench.in_process")  # type: ignore[untyped-decorator]  # Celery has no types
def in_process() -> None:
    """What Celery is at its best at: no process, no isolation, no output."""


def _output(argv: list[str]) -> str:
    done = subprocess.run(  # as our agent does it: output taken in, a session of its own
        argv,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        check=True,
    )
    return done.stdout.decode()
