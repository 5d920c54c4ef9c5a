"""Documents that come in parts (hop 6): a part is on disk before what rests on it is acknowledged."""

import asyncio
from typing import Final

from agent.wire.messages import Blob, Result
from bridge.relay.ledger import Ledger

PARTS_WAIT_S: Final = 10.0


class Assembly:
    def __init__(self, ledger: Ledger) -> None:
        self._ledger = ledger
        self._part_came = asyncio.Event()

    async def add(self, part: Blob) -> None:
        await self._ledger.add_part(part)
        self._part_came.set()

    async def document_of(self, result: Result) -> bytes:
        """The parts were confirmed before the result, so they are here or in another worker's hands.

        Raises `TimeoutError`.
        """
        if not result.blob_sha256:
            return result.document
        async with asyncio.timeout(PARTS_WAIT_S):
            while True:
                self._part_came.clear()
                whole = await self._ledger.assemble(result.job_id, result.blob_sha256)
                if whole is not None:
                    return whole
                await self._part_came.wait()
