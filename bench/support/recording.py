"""A real agent behind a cut link finishes jobs; then the link returns and the real bridge records them."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from bench.support.ours import ours
from bench.support.work import JobWentWrong, Work
from dev_tools.proxy import LinkProxy

PAUSE_S: Final = 0.05
WAIT_S: Final = 300.0


def record_backlog(amqp_url: str, folder: Path, jobs: int) -> tuple[float, float]:
    """Seconds from the link's return to the last recorded result, and seconds that the link was cut."""
    broker = urlsplit(amqp_url)
    with LinkProxy(broker.hostname or "", broker.port or 5672) as link:
        netloc = f"{broker.username}:{broker.password}@127.0.0.1:{link.port}"
        public = broker._replace(netloc=netloc).geturl()
        with ours(amqp_url, folder, public_amqp_url=public) as edge:
            gate = folder / "gate"
            blocked = f"until [ -e {gate} ]; do sleep 0.05; done"
            for _ in range(2):  # both slots are taken until the link is cut
                edge.submit(Work.BASH, blocked)
            for _ in range(jobs - 2):
                edge.submit(Work.BASH)
            _until(lambda: all(row["accepted_at"] for row in edge.custody()) and len(edge.custody()) == jobs)
            link.cut()
            cut_s = time.monotonic()
            gate.touch()
            _until(lambda: edge.backlog() == jobs)
            back_s = time.monotonic()
            link.restore()
            _until(lambda: link.connections > 0)
            came_s = time.monotonic()
            _until(lambda: edge.are_recorded(jobs))
            return time.monotonic() - came_s, back_s - cut_s


def _until(condition: Callable[[], bool]) -> None:
    end_s = time.monotonic() + WAIT_S
    while not condition():
        if time.monotonic() > end_s:
            raise JobWentWrong("the jobs did not get as far as they should have within five minutes")
        time.sleep(PAUSE_S)
