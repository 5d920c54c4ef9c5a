"""What it costs to bring a job's packages to a site over a thin link that is cut every few seconds.

`./dev bench bundles [--kb N] [--kbit-per-s N] [--cut-every-s N]`. A python3 job is locked to a wheel of
random bytes, which nothing makes smaller. The site's link passes 256 kbit/s and is cut every ten seconds:
each cut resets all connections, AMQP and HTTP, and refuses new ones for a second. Whatever comes down that
link counts, so do the handshakes after each cut. A second job of the same lock fetches nothing. The last
lines are ratios: to the wheel's bytes, and to the time that the bare line would take for them while it is up.
"""

import argparse
import os
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self
from urllib.parse import urlsplit

from bench.support.folders import own_folder
from bench.support.ours import Ours, ours
from bench.support.work import JobWentWrong, Work
from dev_tools.broker import BrokerError, find
from dev_tools.brokers.vhosts import fresh_vhost
from dev_tools.expected import expected
from dev_tools.ports import free_ports
from dev_tools.proxy import LinkProxy
from dev_tools.stopping import stop_by_unwinding
from tests.support.wheels import wheel

KB: Final = 1000
DOWN_S: Final = 1.0
PAUSE_S: Final = 0.05
WAIT_S: Final = 1800.0
LOCK: Final = "# py: 3.11\npayload==1.0"
CODE: Final = "import payload\ndef main(): return len(payload.NOISE)\n"


@dataclass(frozen=True, slots=True)
class Fetched:
    seconds: float  # from the order to the result in the cluster
    down_bytes: int  # on the site's links, of everything
    up_bytes: int
    cuts: int


class Cuts:
    """Cuts the links every so often, for as long as the block lasts."""

    def __init__(self, links: Sequence[LinkProxy], bytes_per_s: int, every_s: float) -> None:
        self._links: Final = links
        self._bytes_per_s: Final = bytes_per_s
        self._every_s: Final = every_s
        self._end: Final = threading.Event()
        self._thread: Final = threading.Thread(target=self._run, name="cuts")
        self.count = 0

    def __enter__(self) -> Self:
        self._slow()
        self._thread.start()
        return self

    def __exit__(self, *_about: object) -> None:
        self._end.set()
        self._thread.join()

    def _slow(self) -> None:
        for link in self._links:
            link.slow_down(bytes_per_s=self._bytes_per_s)

    def _run(self) -> None:
        while self._every_s and not self._end.wait(self._every_s):
            for link in self._links:
                link.cut()
            self.count += 1
            time.sleep(DOWN_S)
            for link in self._links:
                link.restore()
            self._slow()


def fetched(
    edge: Ours, links: Sequence[LinkProxy], bytes_per_s: int, cut_every_s: float, size: int
) -> Fetched:
    before = [(link.down_bytes, link.up_bytes) for link in links]
    with Cuts(links, bytes_per_s, cut_every_s) as cuts:
        began_s = time.monotonic()
        job = edge.submit(Work.PYTHON3, CODE, LOCK)
        while not edge.recorded([job]):
            if time.monotonic() - began_s > WAIT_S:
                raise JobWentWrong(f"the job did not end within {WAIT_S:.0f} s")
            time.sleep(PAUSE_S)
        seconds = time.monotonic() - began_s
    if edge.result(job) != str(size):
        raise JobWentWrong(f"the job found another package than was made: {edge.result(job)[:200]}")
    down, up = (
        sum(now - then for now, then in zip(ends, begins, strict=True))
        for ends, begins in (
            ([link.down_bytes for link in links], [one[0] for one in before]),
            ([link.up_bytes for link in links], [one[1] for one in before]),
        )
    )
    return Fetched(seconds, down, up, cuts.count)


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench bundles", description=__doc__.partition("\n")[0])
    parser.add_argument("--kb", type=float, default=1500, help="of random bytes in the wheel (1500)")
    parser.add_argument("--kbit-per-s", type=float, default=256, help="of the link (256)")
    parser.add_argument("--cut-every-s", type=float, default=10)
    options = parser.parse_args(argv)
    stop_by_unwinding()
    size, bytes_per_s = round(options.kb * KB), round(options.kbit_per_s * KB / 8)
    try:
        with find() as broker, fresh_vhost(broker) as amqp_url, own_folder() as folder:
            made = _wheel(folder / "index", size)
            line = f"A link of {options.kbit_per_s:g} kbit/s, a wheel of {made / KB:.0f} KB"
            print(f"RabbitMQ: {broker.kind}. {line}.")
            with _site(amqp_url, folder) as (edge, links):
                with expected("fetching over a link that is cut", 1.5 * made / bytes_per_s):
                    first = fetched(edge, links, bytes_per_s, options.cut_every_s, size)
                again = fetched(edge, links, bytes_per_s, 0, size)
    except (BrokerError, JobWentWrong, ConnectionError) as error:
        print(error, file=sys.stderr)
        return 1
    return _print_ratios(first, again, made, bytes_per_s)


def _wheel(index: Path, size: int) -> int:
    """How many bytes it has."""
    content = {
        "payload.py": "from pathlib import Path\nNOISE = Path(__file__).with_name('noise').read_bytes()\n"
    }
    path = wheel(index, "payload", "1.0", content, binary={"noise": os.urandom(size)})
    return path.stat().st_size


@contextmanager
def _site(amqp_url: str, folder: Path) -> Iterator[tuple[Ours, Sequence[LinkProxy]]]:
    broker, (port,) = urlsplit(amqp_url), free_ports(1)
    with (
        LinkProxy(broker.hostname or "", broker.port or 5672) as amqp_link,
        LinkProxy("127.0.0.1", port) as http_link,
    ):
        login = f"{broker.username}:{broker.password}"
        public = broker._replace(netloc=f"{login}@127.0.0.1:{amqp_link.port}").geturl()
        base_url = f"http://127.0.0.1:{http_link.port}"
        more = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(folder / "index")}
        with ours(
            amqp_url, folder / "site", port=port, public_amqp_url=public, base_url=base_url, more=more
        ) as edge:
            yield edge, (amqp_link, http_link)


def _print_ratios(first: Fetched, again: Fetched, made: int, bytes_per_s: int) -> int:
    down_s = first.cuts * DOWN_S
    print(
        f"first job: {first.seconds:.1f} s, {first.cuts} cuts; {first.down_bytes / KB:.0f} KB down, "
        f"{first.up_bytes / KB:.0f} KB up"
    )
    print(f"second job of the same lock: {again.seconds:.1f} s, {again.down_bytes / KB:.1f} KB down")
    print(f"bytes down / bytes of the wheel: {first.down_bytes / made:.3f}x")
    took = (first.seconds - down_s) * bytes_per_s / made
    print(f"seconds / seconds of the bare line while it is up: {took:.2f}x")
    return int(again.down_bytes > made // 4)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
