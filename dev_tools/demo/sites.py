"""Three shops with a point-of-sale database each, and the three jobs that head office runs at them."""

import random
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

RECEIPTS: Final = 4000
SEED: Final = 20261124
DAYS: Final = 7

ROLLUP: Final = """
import os, sqlite3, time

def main(site: str, database: str, day: int, work_s: float = 0.0):
    shop = sqlite3.connect(database, timeout=20)
    rows = shop.execute(
        "SELECT product, sum(quantity), sum(quantity * price) FROM receipt WHERE day = ? "
        "GROUP BY product", (day,)).fetchall()
    print(f"{site}: day {day}, {len(rows)} products")
    time.sleep(work_s)
    with shop:
        shop.execute("INSERT INTO ran VALUES (?, ?)", (os.environ["WM_JOB_ID"], time.time()))
    turnover = round(sum(row[2] for row in rows), 2)
    return {"site": site, "day": day, "turnover": turnover, "products": len(rows)}
"""

HEALTH: Final = """
site="$1"
database="$2"
echo "checking $site"
size=$(stat -c %s "$database")
load=$(cut -d' ' -f1 /proc/loadavg)
printf '{"site": "%s", "database_bytes": %s, "load": "%s"}' "$site" "$size" "$load" > result.json
"""

EXPORT: Final = """
import sqlite3

def main(site: str, database: str, size: int = 300_000):
    rows = sqlite3.connect(database, timeout=20).execute("SELECT * FROM receipt").fetchall()
    return "\\n".join(map(str, rows)).ljust(size, ".")[:size]
"""

TAG: Final = "pos-$args[site]"
SCRIPTS: Final = (
    {
        "path": "f/pos/rollup",
        "language": "python3",
        "content": ROLLUP,
        "tag": TAG,
        "summary": "the day's roll-up",
    },
    {"path": "f/pos/health", "language": "bash", "content": HEALTH, "tag": TAG, "summary": "site health"},
    {
        "path": "f/pos/export",
        "language": "python3",
        "content": EXPORT,
        "tag": TAG,
        "summary": "300 KB of receipts",
    },
)


@dataclass(frozen=True, slots=True)
class Shop:
    name: str
    database: Path

    @property
    def tag(self) -> str:
        return f"pos-{self.name}"

    def open(self) -> None:
        """Fill the till: the same receipts every time."""
        draw = random.Random(f"{SEED} {self.name}")  # noqa: S311 receipts, not secrets
        self.database.parent.mkdir(parents=True, exist_ok=True)
        till = sqlite3.connect(self.database)
        with till:
            till.execute("CREATE TABLE receipt (id INTEGER PRIMARY KEY, day, product, quantity, price)")
            till.execute("CREATE TABLE ran (job_id TEXT, ended_at REAL)")
            till.executemany(
                "INSERT INTO receipt (day, product, quantity, price) VALUES (?, ?, ?, ?)",
                [
                    (
                        draw.randrange(DAYS),
                        f"product {draw.randrange(60)}",
                        draw.randint(1, 5),
                        draw.randint(50, 9999) / 100,
                    )
                    for _ in range(RECEIPTS)
                ],
            )
        till.close()

    def ran_between(self, start: float, end: float) -> set[str]:
        """The jobs that ended at this shop between two wall times: the shop's own word, not the cluster's."""
        with sqlite3.connect(self.database, timeout=20) as till:
            return {
                row[0]
                for row in till.execute("SELECT job_id FROM ran WHERE ended_at BETWEEN ? AND ?", (start, end))
            }

    def orders(self, rollups: int, work_s: float) -> list[tuple[str, dict[str, Any]]]:
        """(script path, arguments) of one batch for this shop."""
        common = {"site": self.name, "database": str(self.database)}
        return [
            *[("f/pos/rollup", {**common, "day": day % DAYS, "work_s": work_s}) for day in range(rollups)],
            ("f/pos/health", common),
            ("f/pos/export", common),
        ]


def now() -> float:
    return time.time()
