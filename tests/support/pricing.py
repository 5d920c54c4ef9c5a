"""A flow over many sites that people approve, driven to where it is looked at."""

from dataclasses import dataclass
from typing import Any, Final

import msgspec
from msgspec import Raw

from bridge.flows.deployed import NewFlow
from tests.support.flows_in_store import Driver

PATH: Final = "f/pos/prices"
GONE: Final = ("site2", "site5")
PRICE: Final = "def main(site):\n    return {'site': site}\n"
VALUE: Final[dict[str, Any]] = {
    "modules": [
        {
            "id": "list",
            "summary": "Read the new prices",
            "value": {
                "type": "rawscript", "language": "python3", "content": "def main():\n    return 7\n",
                "tag": "head", "input_transforms": {},
            },
            "suspend": {
                "required_events": 1, "timeout": 3600,
                "resume_form": {"schema": {"properties": {"note": {"type": "string"}}, "required": ["note"]}},
            },
        },
        {
            "id": "sites",
            "summary": "Send them to each shop",
            "value": {
                "type": "forloopflow", "parallel": True, "skip_failures": True,
                "iterator": {"type": "javascript", "expr": "flow_input.sites"},
                "modules": [{
                    "id": "price",
                    "value": {
                        "type": "rawscript", "language": "python3", "content": PRICE,
                        "tag": "till-$args[site]",
                        "input_transforms": {"site": {"type": "javascript", "expr": "flow_input.iter.value"}},
                    },
                }],
            },
        },
        {
            "id": "report",
            "value": {"type": "branchone", "default": [], "branches": [
                {"summary": "nobody failed", "expr": "results.sites.length > 0", "modules": []},
            ]},
        },
    ],
}  # fmt: skip


@dataclass
class Prices:
    """One run of it."""

    driver: Driver
    flow_id: str

    async def step_job(self, step: str = "list") -> str:
        """The job of one of its own steps."""
        module = next(one for one in (await self.driver.shown(self.flow_id))["modules"] if one["id"] == step)
        return str(module["job"])

    async def on(self) -> None:
        """As far as it goes while `GONE` are away."""
        await self.driver.until_idle()

    async def all_back(self) -> None:
        self.driver.offline.clear()
        await self.driver.until_idle()


async def deployed(driver: Driver) -> None:
    asked = NewFlow(path=PATH, value=Raw(msgspec.json.encode(VALUE)), summary="Nightly prices")
    await driver.running.cluster.flows.create("main", asked, "admin")


async def begun(driver: Driver, sites: int = 6) -> Prices:
    """It waits for an approval."""
    source = await driver.running.cluster.flows.source("main", PATH)
    flow_id = await driver.push(source, {"sites": [f"site{number}" for number in range(sites)]})
    prices = Prices(driver, flow_id)
    driver.offline |= {f"till-{site}" for site in GONE}
    await prices.on()
    return prices
