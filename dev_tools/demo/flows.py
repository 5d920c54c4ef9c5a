"""`./dev demo flows`: new prices for twelve shops in one night, two of them cut off.

Exit code 0 only if each shop has them, once.
"""

import argparse
import asyncio
import json
import sqlite3
import sys
import time
from collections.abc import Sequence
from typing import Any, Final

from rich.console import Console
from rich.table import Table

from dev_tools.broker import BrokerError, find
from dev_tools.demo.cluster import EMAIL
from dev_tools.demo.night import Night
from dev_tools.demo.nightly import HEAD_OFFICE
from dev_tools.demo.sites import Shop
from dev_tools.demo.world import World
from dev_tools.expected import expected
from dev_tools.places import RUN

SHOPS: Final = (
    "suva", "apia", "nadi", "labasa", "lautoka", "levuka", "savusavu", "sigatoka", "tavua", "ba", "rakiraki",
    "korovou",
)  # fmt: skip
USUAL_S: Final = 20.0
PRODUCTS: Final = 60


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev demo flows", description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave it up at the end, to be looked at")
    parser.add_argument("--json", action="store_true", help="the last line is one JSON object, for machines")
    options = parser.parse_args(argv)
    try:
        return asyncio.run(_demo(keep=options.keep, as_json=options.json))
    except (BrokerError, TimeoutError) as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


async def _demo(*, keep: bool, as_json: bool) -> int:
    console = Console(stderr=as_json)
    began = time.monotonic()
    print(f"Starting RabbitMQ, the bridge and {len(SHOPS)} agents …", file=sys.stderr)
    with expected("starting", USUAL_S) as started, await asyncio.to_thread(find) as broker:
        serves = ("--worker-tags", f"flow,dependency,{HEAD_OFFICE}")
        world = World(RUN / "demo-flows", broker, names=SHOPS, serve=serves)
        try:
            await world.open()
            started()
            night = Night(world, lambda text: console.print(text, highlight=False, soft_wrap=True))
            night.say(f"Log in at {world.url} as {EMAIL} with the password {world.password}")
            await night.tell()
            figures, rows = await _count(night, began)
            console.print(_table(rows))
            _print(figures, console)
            if as_json:
                print(json.dumps(figures))
            if keep:
                print("Still up; Ctrl-C ends it.", file=sys.stderr)
                await asyncio.Event().wait()
        finally:
            await world.close()
    return 0 if _holds(figures) else 1


async def _count(night: Night, began: float) -> tuple[dict[str, Any], list[list[str]]]:
    """From outside: what each shop's own till says, and what the cluster recorded."""
    result = await night.world.cluster.result(night.flow_id) or {}
    told = {shop.name: _till(shop) for shop in night.world.shops}
    rows = [_row(night, name, *one) for name, one in told.items()]
    cut = [name for name in night.cut if any(_within(at, night.cut[name]) for at in told[name][1])]
    figures = {
        "shops": len(told),
        "with_new_prices": sum(prices == PRODUCTS for prices, _ in told.values()),
        "updated_twice": sum(len(times) > 1 for _, times in told.values()),
        "done_while_cut_off": len(cut),
        "reported_updated": result.get("updated", 0) if isinstance(result, dict) else 0,
        "seconds": round(time.monotonic() - began, 1),
    }
    return figures, rows


def _till(shop: Shop) -> tuple[int, list[float]]:
    """How many prices are new, and when jobs ran there: the shop's own word."""
    with sqlite3.connect(shop.database, timeout=20) as till:
        times = [row[0] for row in till.execute("SELECT ended_at FROM ran ORDER BY ended_at")]
        if not times:
            return 0, []
        return till.execute("SELECT count(*) FROM price").fetchone()[0], times


def _within(at: float, cut: tuple[float, float]) -> bool:
    return cut[0] < at < cut[1]


def _row(night: Night, name: str, prices: int, times: list[float]) -> list[str]:
    link = "up"
    if name in night.cut:
        began, ended = night.cut[name]
        link = f"cut off for {ended - began:.0f} s"
    when = ""
    if times and name in night.cut:
        when = "while it was cut off" if _within(times[0], night.cut[name]) else "after it was back"
    return [name, link, str(prices), str(len(times)), when]


def _table(rows: list[list[str]]) -> Table:
    table = Table("shop", "link", "new prices", "times", "done", title="What each shop's own till says")
    for row in rows:
        table.add_row(*row)
    return table


def _holds(figures: dict[str, Any]) -> bool:
    everywhere = figures["with_new_prices"] == figures["reported_updated"] == figures["shops"]
    return everywhere and not figures["updated_twice"] and figures["done_while_cut_off"] > 0


def _print(figures: dict[str, Any], console: Console) -> None:
    for name, value in figures.items():
        console.print(f"{name.replace('_', ' '):24}{value}", highlight=False)
    well = "Every shop has its prices, once." if _holds(figures) else "FAILED: the figures above do not hold."
    console.print(well, highlight=False)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
