"""What systemd is told of us (sd_notify): that we are ready, how it stands, that we live, that we end.

Its watchdog must mean something: we say that we live only after what has to work has answered.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final

SHARE: Final = 3  # pings within the watchdog's time, at least: two that come late or get lost do no harm
STATUS_S: Final = 5.0  # whoever asks sees how it stood so long ago, at most
US: Final = 1_000_000


@dataclass(frozen=True, slots=True)
class Systemd:
    """The default is a process that nobody supervises: then nothing is sent."""

    address: str = ""  # of its socket; a first letter @ is that of an abstract one
    watchdog_s: float | None = None  # it kills who is silent for so long; None: it does not watch

    def tell(self, *lines: str) -> None:
        """Send `READY=1` and the like, now. Nobody to hear it is no trouble of ours."""
        if not self.address:
            return
        where = f"\0{self.address[1:]}" if self.address.startswith("@") else self.address
        with suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as to:
            to.connect(where)
            to.send("\n".join(lines).encode())

    def ready(self, status: str) -> None:
        self.tell("READY=1", f"STATUS={status}")

    def stopping(self, status: str) -> None:
        self.tell("STOPPING=1", f"STATUS={status}")

    async def watched(self, answers: Callable[[], Awaitable[None]], status: Callable[[], str]) -> None:
        """For ever: say how it stands, and that we live, each time that `answers` has returned.

        This runs on the event loop, so a loop that stands still is silent too.
        """
        if not self.address:
            return
        gap_s = min(STATUS_S, STATUS_S if self.watchdog_s is None else self.watchdog_s / SHARE)
        told = ""
        while True:
            await answers()
            lines = [] if self.watchdog_s is None else ["WATCHDOG=1"]
            if (now := status()) != told:
                lines.append(f"STATUS={now}")
                told = now
            if lines:
                self.tell(*lines)
            await asyncio.sleep(gap_s)


def told_by(env: Mapping[str, str]) -> Systemd:
    """By what systemd sets for a unit of `Type=notify`; the watchdog may be meant for another process."""
    address = env.get("NOTIFY_SOCKET", "")
    if not address.startswith(("/", "@")):
        return Systemd()
    mine = env.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
    usec = env.get("WATCHDOG_USEC", "")
    is_watched = mine and usec.isascii() and usec.isdecimal() and int(usec) > 0
    return Systemd(address, int(usec) / US if is_watched else None)


async def loop_turns() -> None:
    """What answers where nothing but the event loop has to."""
