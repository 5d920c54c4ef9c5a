"""Wakes whoever waits to try the link again at the moment when a network interface comes up (Linux)."""

import asyncio
import socket
import struct
from pathlib import Path
from typing import Final

RTMGRP_LINK: Final = 1  # the kernel's group of messages about interfaces
RTM_NEWLINK: Final = 16
RTM_DELLINK: Final = 17
IFF_UP: Final = 0x1
IFF_LOWER_UP: Final = 0x10000  # the cable is in, the radio is associated
MESSAGE: Final = struct.Struct("=IHHII")  # nlmsghdr: length, type, flags, sequence, port
INTERFACE: Final = struct.Struct("=BxHiII")  # ifinfomsg: family, type, index, flags, change
READ_BYTES: Final = 65536
INTERFACES: Final = Path("/sys/class/net")


async def until_interface_up(seconds: float) -> bool:
    """Sleep; return True, early, when an interface that was down comes up. Without Linux: just sleep."""
    kernel = _listen()
    if kernel is None:
        await asyncio.sleep(seconds)
        return False
    with kernel:
        up = _interfaces_up()  # after the listening began, so that no change falls between
        try:
            async with asyncio.timeout(seconds):
                while not comes_up(await asyncio.get_running_loop().sock_recv(kernel, READ_BYTES), up):
                    pass
        except TimeoutError:
            return False
        except OSError:  # the kernel lost messages for want of room: something changed
            return True
        return True


def comes_up(messages: bytes, up: set[int]) -> bool:
    """Whether these messages of the kernel say that an interface not in `up` is up now. Keeps `up` true.

    An interface that is up sends them too, at each scan of a radio for one; they wake nobody.
    """
    woken = False
    offset = 0
    while offset + MESSAGE.size + INTERFACE.size <= len(messages):
        length, kind, *_ = MESSAGE.unpack_from(messages, offset)
        _, _, index, flags, _ = INTERFACE.unpack_from(messages, offset + MESSAGE.size)
        if kind == RTM_NEWLINK and flags & IFF_UP and flags & IFF_LOWER_UP:
            woken = woken or index not in up
            up.add(index)
        elif kind in (RTM_NEWLINK, RTM_DELLINK):
            up.discard(index)
        offset += max((length + 3) & ~3, MESSAGE.size)
    return woken


def _listen() -> socket.socket | None:
    """A socket to the kernel's news of interfaces; None where there is none to be had."""
    if not hasattr(socket, "AF_NETLINK"):
        return None
    try:
        kernel = socket.socket(
            socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK, socket.NETLINK_ROUTE
        )
    except OSError:  # a sandbox that allows no such socket
        return None
    try:
        kernel.bind((0, RTMGRP_LINK))
    except OSError:
        kernel.close()
        return None
    return kernel


def _interfaces_up() -> set[int]:
    found: set[int] = set()
    for interface in INTERFACES.glob("*"):
        try:
            if (interface / "carrier").read_text().strip() == "1":  # refused while it is down
                found.add(int((interface / "ifindex").read_text()))
        except (OSError, ValueError):
            continue
    return found
