"""Looks after the spool's disk while the agent runs: names what is wrong with it, and sees it mended."""

import asyncio
import errno
from collections.abc import Mapping
from typing import Final

import structlog

from agent.errors import SpoolGone
from agent.spool.folder import gone
from agent.spool.outside import used_below
from agent.spool.refusal import why_unusable
from agent.spool.spool import Spool

log = structlog.get_logger()

WATCH_S: Final = 5.0  # nobody tells us when a disk gets well, or a folder is deleted
NAMES: Final[Mapping[int, str]] = {
    errno.ENOSPC: "spool.disk_full",
    errno.EDQUOT: "spool.disk_full",
    errno.EROFS: "spool.read_only",
    errno.EPERM: "spool.read_only",
    errno.EACCES: "spool.read_only",
    errno.EIO: "spool.io_error",
}
UNSAID: Final = OSError(0, "its database cannot be written")  # and the disk takes a small file


class Watch:
    def __init__(self, spool: Spool) -> None:
        self._spool = spool

    async def run(self) -> None:
        """For ever. Raises `SpoolGone`."""
        while True:
            await asyncio.sleep(WATCH_S)
            await self.look()

    async def look(self) -> None:
        """Once. Raises `SpoolGone` when what was confirmed is not there any more."""
        await asyncio.to_thread(self._find)
        await self._try()
        self._spool.room.tell()

    def _find(self) -> None:
        """A disk that was mounted again is another disk to the kernel: take the lock there."""
        folder = self._spool.folder
        if not folder.is_ours():
            folder.take_again()
            log.warning("spool.mounted_again", spool=str(folder.path))
        if not folder.database.exists():
            raise SpoolGone(gone(folder.path))
        self._spool.work_bytes = used_below(folder.work)

    async def _try(self) -> None:
        folder, room = self._spool.folder, self._spool.room
        said = None if await self._spool.is_writable() else await asyncio.to_thread(folder.fault) or UNSAID
        reason = "" if said is None else why_unusable(folder.path, said)
        if reason == room.fault:
            return
        if said is None:
            log.warning("spool.writable_again", was=room.fault)
        else:
            log.error(NAMES.get(said.errno or 0, "spool.refused"), reason=reason)
        room.fault = reason
