"""What it costs a large result when its link dies every few seconds, beside the same result on a whole link.

`./dev bench large_result [--mb N] [--cut-every-s N]`. A real job leaves random bytes in base64, which nothing
makes smaller than they were; its result crosses a link of 1 MB/s that is cut again and again: each cut resets
all connections, AMQP and HTTP, and refuses new ones for a second. A part of the document that has begun to
cross counts as sent. The last lines are ratios; it ends with 1 when a cut cost more than was on its way.
"""

import argparse
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import file_digest, sha256
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from agent.jobs.pace import PARTS_MAX
from agent.wire.envelope import BLOB_PART_BYTES
from bench.support.folders import own_folder
from bench.support.ours import Ours, ours
from bench.support.parts import PartsLink
from bench.support.work import JobWentWrong, Work
from dev_tools.broker import BrokerError, find
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.expected import expected
from dev_tools.ports import free_ports
from dev_tools.proxy import LinkProxy
from dev_tools.stopping import stop_by_unwinding

MB: Final = 1_000_000
DOWN_S: Final = 1.0
PAUSE_S: Final = 0.02
WAIT_S: Final = 900.0


@dataclass(frozen=True, slots=True)
class Crossing:
    seconds: float  # from the result on the site's disk to the result in the cluster
    wire_bytes: int  # up, of everything
    parts_sent: int
    parts: int  # of the document
    document_bytes: int
    resumed_s: Sequence[float]  # after each cut, from the link's return to the next part

    @property
    def again(self) -> int:
        return self.parts_sent - self.parts


class Cuts:
    """Cuts both links every so often, for as long as the block lasts."""

    def __init__(
        self, links: Sequence[LinkProxy], parts: PartsLink, bytes_per_s: int, every_s: float
    ) -> None:
        self._links: Final = links
        self._parts: Final = parts
        self._bytes_per_s: Final = bytes_per_s
        self._every_s: Final = every_s
        self._end: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="cuts")
        self.resumed_s: Final[list[float]] = []

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_about: object) -> None:
        self._end.set()
        self._thread.join()

    def _run(self) -> None:
        while self._every_s and not self._end.wait(self._every_s):
            for link in self._links:
                link.cut()
            sent = self._parts.parts
            time.sleep(DOWN_S)
            for link in self._links:
                link.restore()
            self._parts.slow_down(bytes_per_s=self._bytes_per_s)
            began_s = time.monotonic()
            while self._parts.parts == sent and not self._end.wait(PAUSE_S):
                pass
            self.resumed_s.append(time.monotonic() - began_s)


class Site:
    """A bridge, and an agent whose ways to it and to the broker are two links of ours."""

    def __init__(self, edge: Ours, amqp_link: PartsLink, http_link: LinkProxy, folder: Path) -> None:
        self._edge: Final = edge
        self._amqp_link: Final = amqp_link
        self._http_link: Final = http_link
        self._folder: Final = folder
        self._recorded = 0

    def cross(self, random_bytes: int, bytes_per_s: int, cut_every_s: float) -> Crossing:
        usual_s = random_bytes / bytes_per_s * (1.5 if cut_every_s else 1.1)
        with expected("crossing a link that is cut" if cut_every_s else "crossing a whole link", usual_s):
            return self._cross(random_bytes, bytes_per_s, cut_every_s)

    def _cross(self, random_bytes: int, bytes_per_s: int, cut_every_s: float) -> Crossing:
        gate, made = self._folder / f"gate-{self._recorded}", self._folder / f"made-{self._recorded}"
        document = f"printf '\"'; head -c {random_bytes} /dev/urandom | base64 -w0; printf '\"'"
        source = f"until [ -e {gate} ]; do sleep 0.05; done; {{ {document}; }} | tee {made} > result.json"
        job = self._edge.submit(Work.BASH, source)
        self._until(lambda: any(row["job_id"] == job and row["started_at"] for row in self._edge.custody()))
        self._amqp_link.slow_down(bytes_per_s=bytes_per_s)
        bytes_before, parts_before = self._amqp_link.up_bytes, self._amqp_link.parts
        gate.touch()
        self._until(lambda: self._edge.backlog() > 0)
        began_s = time.monotonic()
        links = (self._amqp_link, self._http_link)
        with Cuts(links, self._amqp_link, bytes_per_s, cut_every_s) as cuts:
            self._recorded += 1
            self._until(lambda: self._edge.are_recorded(self._recorded))
            seconds = time.monotonic() - began_s
        for link in links:
            link.restore()
        size = made.stat().st_size
        self._check(job, made)
        return Crossing(
            seconds=seconds,
            wire_bytes=self._amqp_link.up_bytes - bytes_before,
            parts_sent=self._amqp_link.parts - parts_before,
            parts=-(-size // BLOB_PART_BYTES),
            document_bytes=size,
            resumed_s=cuts.resumed_s,
        )

    def _check(self, job: str, made: Path) -> None:
        with made.open("rb") as file:
            wanted = file_digest(file, "sha256").hexdigest()
        if sha256(self._edge.result(job).encode()).hexdigest() != wanted:
            raise JobWentWrong("the result in the cluster is not the one that the job made")

    @staticmethod
    def _until(condition: Callable[[], bool]) -> None:
        end_s = time.monotonic() + WAIT_S
        while not condition():
            if time.monotonic() > end_s:
                raise JobWentWrong(f"the result did not cross within {WAIT_S:.0f} s")
            time.sleep(PAUSE_S)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench large_result", description=__doc__.partition("\n")[0])
    parser.add_argument("--mb", type=float, default=50, help="of random bytes (50)")
    parser.add_argument("--mb-per-s", type=float, default=1, help="of the link (1)")
    parser.add_argument("--cut-every-s", type=float, default=10)
    options = parser.parse_args(argv)
    stop_by_unwinding()
    try:
        with find() as broker, fresh_vhost(broker) as amqp_url, own_folder() as folder:
            print(f"RabbitMQ: {broker.kind}. A link of {options.mb_per_s:g} MB/s.")
            with _site(amqp_url, folder) as site:
                sizes = round(options.mb * MB), round(options.mb_per_s * MB)
                whole = _crossed("on a whole link", site.cross(*sizes, 0))
                cut = _crossed("cut", site.cross(*sizes, options.cut_every_s))
    except (BrokerError, JobWentWrong, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    return _print_ratios(whole, cut, sizes[0])


@contextmanager
def _site(amqp_url: str, folder: Path) -> Iterator[Site]:
    broker, (port,) = urlsplit(amqp_url), free_ports(1)
    with (
        PartsLink(broker.hostname or "", broker.port or 5672) as amqp_link,
        LinkProxy("127.0.0.1", port) as http_link,
    ):
        login = f"{broker.username}:{broker.password}"
        public = broker._replace(netloc=f"{login}@127.0.0.1:{amqp_link.port}").geturl()
        base_url = f"http://127.0.0.1:{http_link.port}"
        with ours(amqp_url, folder / "site", port=port, public_amqp_url=public, base_url=base_url) as edge:
            yield Site(edge, amqp_link, http_link, folder)


def _crossed(name: str, seen: Crossing) -> Crossing:
    print(
        f"{name}: {seen.document_bytes / MB:.1f} MB of result in {seen.seconds:.1f} s, "
        f"{len(seen.resumed_s)} cuts; {seen.parts_sent} parts sent of {seen.parts}, {seen.again} again; "
        f"{seen.wire_bytes / MB:.2f} MB on the wire"
    )
    if seen.resumed_s:
        waits = " ".join(f"{one:.1f}" for one in seen.resumed_s)
        print(f"  the next part began so many seconds after the link's return: {waits}")
    return seen


def _print_ratios(whole: Crossing, cut: Crossing, random_bytes: int) -> int:
    cuts = len(cut.resumed_s)
    print(f"bytes on the wire / random bytes in the result: {cut.wire_bytes / random_bytes:.3f}x")
    print(f"bytes on the wire, cut / whole link: {cut.wire_bytes / whole.wire_bytes:.3f}x")
    print(f"seconds, cut / whole link: {cut.seconds / whole.seconds:.2f}x")
    print(f"parts sent again / cuts: {cut.again / cuts if cuts else 0:.2f}")
    return int(cut.again > cuts * PARTS_MAX)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
