"""What happens in the demo, in order; every fault is real."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

import httpx

from dev_tools.demo.board import Board, Seen
from dev_tools.demo.sites import Shop, now
from dev_tools.demo.world import World

CUT_S: Final = 20.0
LOOK_EVERY_S: Final = 0.5
LINES_EVERY_S: Final = 5.0
ALL_BACK_S: Final = 120.0
START_S: Final = 30.0


class Story:
    def __init__(self, world: World, seen: Seen, board: Board) -> None:
        self._world = world
        self._seen = seen
        self._board = board
        self._looked = asyncio.Event()
        self.finished_while_cut_off = 0

    async def tell(self) -> None:
        looking = asyncio.create_task(self._look(), name="look")
        try:
            await self._main_line()
        finally:
            looking.cancel()
            await asyncio.wait([looking])

    async def _main_line(self) -> None:
        suva, apia, _ = self._world.shops
        self._board.say("Head office submits jobs to three shops.")
        for shop in self._world.shops:
            await self._submit(shop, rollups=12, work_s=1.5)
        await self._until(lambda: self._has("running", suva) and self._has("running", apia), START_S)
        cut_at = now()
        self._world.links["suva"].cut()
        self._board.say(f"CUT: the link of suva, for {CUT_S:g} s, with jobs queued and running there.")
        await self._kill_and_start_agent(apia)
        await self._submit(suva, rollups=3, work_s=0.2)
        self._world.kill_bridge()
        self._board.say("KILL -9: the bridge. It starts again.")
        self._world.start_bridge()
        await self._until(lambda: True, START_S)
        self._board.say("RESTART: RabbitMQ.")
        await self._world.restart_broker()
        await self._submit(apia, rollups=3, work_s=0.2)
        await asyncio.sleep(max(0.0, cut_at + CUT_S - now()))
        restored_at = now()
        self.finished_while_cut_off = len(
            suva.ran_between(cut_at + 2.0, restored_at) & set(self._seen.site_of)
        )
        self._world.links["suva"].restore()
        self._board.say(
            f"BACK: the link of suva. {self.finished_while_cut_off} jobs finished there meanwhile."
        )
        with suppress(TimeoutError):
            await self._until(lambda: len(self._seen.first) == len(self._seen.site_of), ALL_BACK_S)

    async def _kill_and_start_agent(self, shop: Shop) -> None:
        await self._until(lambda: self._has("running", shop), START_S)
        self._world.kill_agent(shop.name)
        self._board.say(f"KILL -9: the agent of {shop.name}, in mid-job. It starts again.")
        self._world.start_agent(shop.name)

    async def _submit(self, shop: Shop, *, rollups: int, work_s: float) -> None:
        for path, args in shop.orders(rollups, work_s):
            job_id = await self._world.cluster.run(path, args)
            self._seen.site_of[job_id] = shop.name

    def _has(self, place: str, shop: Shop) -> bool:
        return self._seen.counts(shop.name)[place] > 0

    async def _until(self, condition: Callable[[], bool], within_s: float) -> None:
        """Raises TimeoutError. Each look at the cluster is a chance."""
        async with asyncio.timeout(within_s):
            while True:
                await self._looked.wait()
                if condition():
                    return
                self._looked.clear()

    async def _look(self) -> None:
        """Look for as long as the story lasts; while the bridge is away there is nothing to see."""
        last_lines = now()
        while True:
            with suppress(httpx.HTTPError):
                self._seen.note(await self._world.cluster.custody(), await self._world.cluster.completed())
                self._looked.set()
            self._board.show()
            if now() - last_lines > LINES_EVERY_S:
                last_lines = now()
                self._board.show_line()
            await asyncio.sleep(LOOK_EVERY_S)
