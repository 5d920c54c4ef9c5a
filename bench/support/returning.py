"""A fleet in a process of its own, so that watching the bridge costs it nothing. Spoken to by lines of JSON.

    python -m bench.support.returning FOLDER URL SIZE    (the agent token comes as the first line)

Each further line throws all agents off at once and is answered, when all are up again, by what happened.
"""

import asyncio
import json
import logging
import sys
import time
from pathlib import Path
from typing import Any

from agent.logs import configure
from dev_tools.fleet import Member, running_fleet


async def main(folder: Path, base_url: str, size: int) -> None:
    configure(level=logging.CRITICAL)
    token = await _line()
    async with running_fleet(folder, base_url, token, size) as fleet:
        await _all_up(fleet, 0.0)
        print(json.dumps({"up": size}), flush=True)
        while await _line():
            print(json.dumps(await _return_of(fleet)), flush=True)


async def _return_of(fleet: list[Member]) -> dict[str, Any]:
    """In seconds since they were thrown off."""
    began_s = time.monotonic()
    for one in fleet:
        one.throw_off()
    await _all_up(fleet, began_s)

    def since(moments_s: list[float]) -> list[float]:
        return [at_s - began_s for at_s in moments_s if at_s >= began_s]

    return {
        "began_s": began_s,
        "up": sorted(since([one.up_s[-1] for one in fleet])),
        "admitted": sorted(at_s for one in fleet for at_s in since(one.admitted_s)),
        "told_to_wait": sum(len(since([told_s for told_s, _ in one.waits])) for one in fleet),
        "unreached": sum(len(since(one.unreached_s)) for one in fleet),
        "handshakes": [
            [since(one.admitted_s)[-1], since(one.up_s)[-1]] for one in fleet if since(one.admitted_s)
        ],
    }


async def _all_up(fleet: list[Member], since_s: float) -> None:
    """All have come up since then, and none has fallen again meanwhile."""
    while waits_for := next((one for one in fleet if not _is_up(one, since_s)), None):
        version = waits_for.came_up.version
        if not _is_up(waits_for, since_s):
            await waits_for.came_up.newer_than(version)


def _is_up(one: Member, since_s: float) -> bool:
    return one.life.link_up and bool(one.up_s) and one.up_s[-1] >= since_s


async def _line() -> str:
    line: str = await asyncio.to_thread(sys.stdin.readline)
    return line.strip()


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
