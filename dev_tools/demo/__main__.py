"""`./dev demo`: three sites, real faults, and a count at the end. Exit code 0 only if nothing was lost."""

import argparse
import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Final

from dev_tools.broker import BrokerError, find
from dev_tools.demo.board import Board, Seen
from dev_tools.demo.cluster import EMAIL
from dev_tools.demo.story import Story
from dev_tools.demo.world import World
from dev_tools.expected import expected
from dev_tools.places import RUN

START_USUAL_S: Final = 20.0


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev demo", description=__doc__)
    parser.add_argument(
        "--keep", action="store_true", help="leave it up at the end, and say how to submit a job"
    )
    parser.add_argument("--tls", action="store_true", help="everything over TLS, with a throw-away CA")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object, for machines")
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_demo(keep=options.keep, as_json=options.json, tls=options.tls))
    except BrokerError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


async def _demo(*, keep: bool, as_json: bool, tls: bool) -> int:
    began = time.monotonic()
    print("Starting RabbitMQ, the bridge and three agents …", file=sys.stderr)
    with expected("starting", START_USUAL_S) as started, await asyncio.to_thread(find) as broker:
        if tls and broker.ca is None:
            raise BrokerError("--tls needs a RabbitMQ of our own; leave AMQP_URL out")
        world = World(RUN / "demo", broker, broker.ca if tls else None)
        seen = Seen()
        try:
            await world.open()
            started()
            print(_page_of(world), file=sys.stderr)
            with Board(world, seen, quiet=as_json) as board:
                story = Story(world, seen, board)
                await story.tell()
                board.show()
                board.show_line()
            figures = await _count(world, seen, story, began)
            _print(figures, as_json=as_json)
            if keep:
                await _stay(world)
        finally:
            await world.close()
    return 0 if _holds(figures) else 1


async def _count(world: World, seen: Seen, story: Story, began: float) -> dict[str, int | float]:
    """Counted from outside. Twice = what was recorded of a job changed after it was first seen."""
    recorded = await world.cluster.completed()
    changed = [job for job, first in seen.first.items() if recorded.get(job, {}).get("completed_at") != first]
    failed = [job for job in seen.site_of if job in recorded and not recorded[job]["success"]]
    return {
        "submitted": len(seen.site_of),
        "recorded": len(recorded.keys() & seen.site_of.keys()),
        "lost": len(seen.site_of.keys() - recorded.keys()),
        "recorded_twice": len(changed),
        "failed": len(failed),
        "finished_while_cut_off": story.finished_while_cut_off,
        "seconds": round(time.monotonic() - began, 1),
    }


def _holds(figures: dict[str, int | float]) -> bool:
    clean = not (figures["lost"] or figures["recorded_twice"] or figures["failed"])
    return clean and figures["submitted"] == figures["recorded"] and figures["finished_while_cut_off"] > 0


def _print(figures: dict[str, int | float], *, as_json: bool) -> None:
    out = sys.stderr if as_json else sys.stdout
    for name, value in figures.items():
        print(f"{name.replace('_', ' '):24}{value}", file=out)
    verdict = "Nothing lost, nothing twice." if _holds(figures) else "FAILED: the figures above do not hold."
    print(verdict, file=out)
    if as_json:
        print(json.dumps(figures))


def _page_of(world: World) -> str:
    return f"Look at it: {world.url}/workers, as {EMAIL} with the password {world.password}"


async def _stay(world: World) -> None:
    url = f"{world.url}/api/w/main/jobs/run/p/f/pos/health"
    trust = "" if world.ca_file is None else f" --cacert {world.ca_file}"
    shop = world.shops[0]
    body = json.dumps({"site": shop.name, "database": str(shop.database)})
    print(f"\nStill up; Ctrl-C ends it. {_page_of(world)}\n\nOr submit a job:\n\n"
          f"  curl{trust} -X POST {url} \\\n"
          f"    -H 'Authorization: Bearer {world.token}' -d '{body}'\n")  # fmt: skip
    await asyncio.Event().wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
