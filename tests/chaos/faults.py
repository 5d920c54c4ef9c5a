"""Carries a plan out on the stage. A fault whose victim is still busy with another waits for it."""

import asyncio
from collections import Counter, defaultdict
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

from dev_tools.proxy import Cut
from tests.chaos.clock import JUMPS, TRUE
from tests.chaos.desk import Desk
from tests.chaos.keeper import Keeper
from tests.chaos.plan import Fault
from tests.chaos.stage import Stage
from tests.chaos.timing import pass_time

SLOWEST_BYTES_PER_S: Final = 2_000
FASTEST_BYTES_PER_S: Final = 40_000
DELAY_MAX_S: Final = 0.4
CANCELS_MAX: Final = 5
# One call that lifts what it raised: starting rabbitmqctl twice takes long on a machine with much to do.
ALARMS: Final = {
    "memory_alarm": "vm_memory_monitor:set_vm_memory_high_watermark(0.00001), timer:sleep({ms}), "
    "vm_memory_monitor:set_vm_memory_high_watermark(0.4).",
    "disk_alarm": "rabbit_disk_monitor:set_disk_free_limit(1000000000000000), timer:sleep({ms}), "
    "rabbit_disk_monitor:set_disk_free_limit(50000000).",
}


class Faults:
    def __init__(self, stage: Stage, keeper: Keeper, desk: Desk) -> None:
        self._stage = stage
        self._keeper = keeper
        self._desk = desk
        self._parts: Final[dict[str, asyncio.Lock]] = defaultdict(asyncio.Lock)
        self.done: Final[Counter[str]] = Counter()
        self.under_way = 0

    async def carry_out(self, plan: Sequence[Fault]) -> None:
        """Returns when the last fault is over and all is whole again."""
        began_s = asyncio.get_running_loop().time()
        async with asyncio.TaskGroup() as group:
            for fault in plan:
                if fault.kind not in self._stage.lacking:
                    await pass_time(began_s + fault.at_s - asyncio.get_running_loop().time())
                    group.create_task(self._one(fault), name=f"{fault.kind} {fault.whom}")
        if self._stage.own_clock is not None:
            self._stage.own_clock.set(TRUE)

    async def _one(self, fault: Fault) -> None:
        async with self._parts[fault.part]:
            self.under_way += 1
            try:
                await self._way_of(fault.kind)(fault)
                self.done[fault.kind] += 1
            finally:
                self.under_way -= 1

    def _way_of(self, kind: str) -> Callable[[Fault], Awaitable[None]]:
        if "_link_" in kind:
            return self._link
        return {
            "kill_agent": self._kill_agent,
            "kill_bridge": self._kill_bridge,
            "kill_broker": self._kill_broker,
            "memory_alarm": self._alarm,
            "disk_alarm": self._alarm,
            "spool_full": self._fill,
            "clock_jump": self._jump,
            "cancel": self._cancel,
        }[kind]

    async def _link(self, fault: Fault) -> None:
        line = self._stage.lines[fault.whom]
        way = fault.kind.partition("_link_")[2]
        if way == "throttle":
            span = FASTEST_BYTES_PER_S - SLOWEST_BYTES_PER_S
            line.slow_down(bytes_per_s=round(SLOWEST_BYTES_PER_S + span * fault.choice))
        elif way == "delay":
            line.slow_down(delay_s=DELAY_MAX_S * fault.choice)
        elif way == "half_open":
            line.cut(Cut.UP if fault.choice < 0.5 else Cut.DOWN)
        else:
            line.cut({"cut": Cut.REFUSE, "stall": Cut.STALL, "forget": Cut.FORGET}[way])
        await pass_time(fault.lasts_s)
        line.restore()

    async def _kill_agent(self, fault: Fault) -> None:
        with self._keeper.down(fault.whom) as agent:
            agent.kill()
            await pass_time(fault.lasts_s)
            agent.launch()

    async def _kill_bridge(self, fault: Fault) -> None:
        with self._keeper.down(fault.whom) as bridge:
            bridge.kill()
            await pass_time(fault.lasts_s)
            bridge.launch()
        await self._desk.answers()

    async def _kill_broker(self, fault: Fault) -> None:
        broker = self._stage.broker
        await asyncio.to_thread(broker.kill)
        await pass_time(fault.lasts_s)
        await asyncio.to_thread(broker.start)

    async def _alarm(self, fault: Fault) -> None:
        words = ALARMS[fault.kind].format(ms=round(1000 * fault.lasts_s))
        await asyncio.to_thread(self._stage.broker.ctl, "eval", words)

    async def _fill(self, fault: Fault) -> None:
        assert self._stage.small_disk is not None
        with self._keeper.full_disk(fault.whom):
            await asyncio.to_thread(self._stage.small_disk.fill)
            await pass_time(fault.lasts_s)
            self._stage.small_disk.free()

    async def _jump(self, fault: Fault) -> None:
        """The clock stays wrong until its next jump."""
        assert self._stage.own_clock is not None
        self._stage.own_clock.set(JUMPS[int(fault.choice * len(JUMPS))])

    async def _cancel(self, fault: Fault) -> None:
        await self._desk.cancel_some(1 + int(fault.choice * CANCELS_MAX), f"{fault.at_s}")
