"""The nightly price update: a flow over every shop, which a person approves."""

from typing import Any, Final

PATH: Final = "f/pos/nightly_prices"
HEAD_OFFICE: Final = "head-office"
OPEN_S: Final = 600

PRICES: Final = """
def main(percent: float):
    return {f"product {number}": round((5 + number) * (1 + percent / 100), 2) for number in range(60)}
"""

APPLY: Final = """
import os, sqlite3, time

def main(site: str, database: str, prices: dict, work_s: float = 0.0):
    time.sleep(work_s)
    till = sqlite3.connect(database, timeout=20)
    with till:
        till.execute("CREATE TABLE IF NOT EXISTS price (product PRIMARY KEY, price)")
        till.executemany("INSERT OR REPLACE INTO price VALUES (?, ?)", prices.items())
        till.execute("INSERT INTO ran VALUES (?, ?)", (os.environ["WM_JOB_ID"], time.time()))
    print(f"{site}: {len(prices)} prices")
    return {"site": site, "prices": len(prices)}
"""

REPORT: Final = """
def main(shops: list, approvers: list):
    right = [shop for shop in shops if "error" not in shop]
    return {"shops": len(shops), "updated": len(right), "approved_by": approvers}
"""


def _code(content: str, tag: str, **inputs: str) -> dict[str, Any]:
    return {
        "type": "rawscript", "language": "python3", "content": content, "tag": tag,
        "input_transforms": {name: {"type": "javascript", "expr": text} for name, text in inputs.items()},
    }  # fmt: skip


FLOW: Final = {
    "path": PATH,
    "summary": "New prices for every shop",
    "value": {
        "modules": [
            {
                "id": "prices",
                "summary": "Make the new prices",
                "value": _code(PRICES, HEAD_OFFICE, percent="flow_input.percent"),
                "suspend": {"required_events": 1, "timeout": OPEN_S},
            },
            {
                "id": "approved",
                "summary": "Approved by",
                "value": _code("def main(names):\n    return names", HEAD_OFFICE, names="approvers"),
            },
            {
                "id": "shops",
                "summary": "Put them into every till",
                "value": {
                    "type": "forloopflow", "parallel": True, "skip_failures": True,
                    "iterator": {"type": "javascript", "expr": "flow_input.shops"},
                    "modules": [{
                        "id": "till",
                        "value": _code(
                            APPLY, "pos-$args[site]", site="flow_input.iter.value.site",
                            database="flow_input.iter.value.database", prices="results.prices",
                            work_s="flow_input.iter.value.work_s",
                        ),
                    }],
                },
            },
            {
                "id": "report",
                "summary": "Report",
                "value": _code(REPORT, HEAD_OFFICE, shops="results.shops", approvers="results.approved"),
            },
        ],
    },
}  # fmt: skip
