"""What an agent takes on a small device: installed, and in memory while it waits for work.

`./dev bench footprint [--rounds N] [--link http|amqp]`. The size is that of the files of the base install and
of all that it needs, without compiled caches; the memory that of a real agent whose link is up and which has
nothing to do, beside a Python that only waits in asyncio. The last line is the agent over that.
"""

import argparse
import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import Distribution, distribution
from pathlib import Path
from statistics import median
from typing import Final

from packaging.requirements import Requirement

from agent.release import PROJECT
from bench.support.figures import ratio_line
from bench.support.folders import own_folder
from bench.support.proc import children, resident_bytes
from dev_tools.broker import find
from dev_tools.places import ROOT
from tests.support.world import World, opened_world

MB: Final = 1_000_000
SETTLE_S: Final = 5.0  # what the start took is given back, as far as it ever is
WAITS: Final = "import asyncio, sys; print(flush=True); asyncio.run(asyncio.sleep(3600))"


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench footprint")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--link", choices=["http", "amqp"], default="http")
    options = parser.parse_args(argv)
    sizes = installed_bytes()
    for name, size in sorted(sizes.items(), key=lambda one: -one[1])[:5]:
        print(f"  {name:<16} {size / MB:6.1f} MB")
    print(f"installed: {sum(sizes.values()) / MB:.1f} MB in {len(sizes)} packages, without compiled caches")
    agents, warm = asyncio.run(idle(options.link, options.rounds))
    bare = [waiting_bytes() for _ in agents]
    beside = f"{median(warm) / MB:.1f} MB of children"
    print(f"idle, linked over {options.link}: {median(agents) / MB:.1f} MB, {beside}")
    print(f"a Python that waits: {median(bare) / MB:.1f} MB")
    print(ratio_line("resident memory, idle agent / waiting Python", agents, bare))
    return 0


def installed_bytes() -> dict[str, int]:
    """By package: ours, and what the base install brings on this machine."""
    ours = sum(size for name in ("agent", "bridge") for size in _sizes_below(ROOT / name))
    return {PROJECT: ours} | {
        name: _size_of(one) for name, one in _needed(PROJECT).items() if name != PROJECT
    }


def _needed(name: str) -> dict[str, Distribution]:
    """It, and all that it needs without any extra."""
    found: dict[str, Distribution] = {}
    ahead = [name]
    while ahead:
        name = ahead.pop().lower()
        if name in found:
            continue
        found[name] = distribution(name)
        wanted = map(Requirement, found[name].requires or [])
        ahead += [one.name for one in wanted if one.marker is None or one.marker.evaluate({"extra": ""})]
    return found


def _size_of(one: Distribution) -> int:
    paths = (Path(str(file.locate())) for file in one.files or [] if file.suffix != ".pyc")
    return sum(path.stat().st_size for path in paths if path.is_file())


def _sizes_below(folder: Path) -> Iterator[int]:
    files = (path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc")
    return (path.stat().st_size for path in files)


async def idle(link: str, rounds: int) -> tuple[list[int], list[int]]:
    """Resident bytes of an agent that waits, and of what it keeps running for jobs; a new one each round."""
    agents, warm = [], []
    with own_folder() as folder:
        async with _world(folder, link) as world:
            for _ in range(rounds):
                agent = world.site("bash")
                await agent.start()
                await asyncio.sleep(SETTLE_S)
                pid = agent.process.pid
                agents.append(resident_bytes(pid))
                warm.append(sum(map(resident_bytes, children(pid))))
                agent.stop()
    return agents, warm


@asynccontextmanager
async def _world(folder: Path, link: str) -> AsyncIterator[World]:
    if link == "amqp":
        with find() as broker:
            async with opened_world(folder, broker) as world:
                yield world
    else:
        with World(folder) as world:
            await world.open()
            yield world


def waiting_bytes() -> int:
    with subprocess.Popen([sys.executable, "-c", WAITS], stdout=subprocess.PIPE) as waiting:
        assert waiting.stdout is not None
        waiting.stdout.readline()
        size = resident_bytes(waiting.pid)
        waiting.kill()
    return size


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
