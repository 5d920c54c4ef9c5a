"""What happens in the demo of flows, in order; every cut is real."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any, Final

import httpx

from dev_tools.demo.nightly import FLOW, PATH
from dev_tools.demo.sites import now
from dev_tools.demo.world import World

LOOK_S: Final = 0.4
STEP_S: Final = 60.0  # the longest that anything may take on a slow machine
LOOKED_AT_S: Final = 5.0  # how long the waiting is there to be seen
SLOW_S: Final = 3.0  # long enough to be cut off in the middle of it
PERCENT: Final = 3
APPROVER: Final = "Ana"

Say = Callable[[str], None]


@dataclass
class Night:
    """One update. Times are wall seconds, by shop."""

    world: World
    say: Say
    flow_id: str = ""
    status: dict[str, Any] = field(default_factory=dict)
    cut: dict[str, tuple[float, float]] = field(default_factory=dict)  # from, until
    _said: str = ""

    async def tell(self) -> None:
        early, late = self.world.shops[1].name, self.world.shops[4].name
        await self._cut(early, "before the night begins")
        await self.world.cluster.deploy_flow(FLOW)
        self.flow_id = await self.world.cluster.run_flow(PATH, self._input(slow=late))
        self.say(f"The flow has begun: {self.world.url}/run/{self.flow_id}")
        await self._until("somebody's approval", self._is_asked)
        links = await self.world.cluster.resume_links(await self._first_job(), APPROVER)
        self.say(f"It waits for an approval. {APPROVER} opens her link, without an account:")
        self.say(f"  {links['approvalPage'].partition('?')[0][:96]}…")
        await self.world.cluster.answer(links["resume"], {"note": "after closing time"})
        self.say(f"Approved by {APPROVER}. Twelve shops get their prices side by side.")
        await self._until(f"the job to reach {late}", lambda: self._is_at(late))
        await self._cut(late, "with its job at the shop, which goes on with it")
        await self._until("all others", self._others_are_done)
        self.say(f"Ten of twelve are done; the flow waits for {early} and {late}, and nobody waits with it.")
        for held in self._loop().get("held", []):
            self.say(
                f"  {held['tag']:14} {'at ' + held['worker'] if held['worker'] else 'waits for its site'}"
            )
        await asyncio.sleep(LOOKED_AT_S)
        for name in (late, early):
            self._restore(name)
        await self._until("the end", self._is_over)

    def _input(self, slow: str) -> dict[str, Any]:
        shops = [
            {
                "site": shop.name,
                "database": str(shop.database),
                "work_s": SLOW_S if shop.name == slow else 0.2,
            }
            for shop in self.world.shops
        ]
        return {"percent": PERCENT, "shops": shops}

    async def _cut(self, name: str, when: str) -> None:
        await asyncio.to_thread(self.world.links[name].cut)
        self.cut[name] = (now(), 0.0)
        self.say(f"CUT: the link of {name}, {when}.")

    def _restore(self, name: str) -> None:
        self.world.links[name].restore()
        self.cut[name] = (self.cut[name][0], now())
        self.say(f"BACK: the link of {name}, after {now() - self.cut[name][0]:.0f} s.")

    async def _is_asked(self) -> bool:
        return any(module["type"] == "WaitingForEvents" for module in self._modules())

    async def _first_job(self) -> str:
        return str(next(module["job"] for module in self._modules() if module["id"] == "prices"))

    async def _is_at(self, name: str) -> bool:
        """The shop has it in custody: it needs no link any more to do it."""
        custody = (await self.world.cluster.custody())["custody"]
        return any(row["tag"] == f"pos-{name}" and row["state"] == "accepted" for row in custody)

    async def _others_are_done(self) -> bool:
        ended = [one for one in self._loop().get("flow_jobs_success", []) if one is not None]
        return len(ended) >= len(self.world.shops) - len(self.cut)

    async def _is_over(self) -> bool:
        return await self.world.cluster.result(self.flow_id) is not None

    async def _until(self, what: str, condition: Callable[[], Awaitable[bool]]) -> None:
        """Raises `TimeoutError`, which says what did not come."""
        end_s = time.monotonic() + STEP_S
        while time.monotonic() < end_s:
            try:
                self.status = await self.world.cluster.flow_status(self.flow_id)
                self._say_how_far()
                if await condition():
                    return
            except httpx.TransportError:
                pass  # a busy bridge; it is asked again
            await asyncio.sleep(LOOK_S)
        raise TimeoutError(f"waited {STEP_S:g} s for {what}; the flow stands at {self.status}")

    def _say_how_far(self) -> None:
        loop = self._loop()
        children = loop.get("flow_jobs_success", [])
        done = sum(one is not None for one in children)
        if children and f"{done}" != self._said:
            self._said = f"{done}"
            self.say(f"  {done} of {len(self.world.shops)} shops done")

    def _modules(self) -> list[dict[str, Any]]:
        return list(self.status.get("modules", []))

    def _loop(self) -> dict[str, Any]:
        return next((module for module in self._modules() if module["id"] == "shops"), {})
