"""The end of systemd's that a unit of `Type=notify` talks to: a real datagram socket."""

import socket
from pathlib import Path
from typing import Final, Self


class Notified:
    """`lines` grows by what arrives, in its order."""

    def __init__(self, address: str) -> None:
        """A path, or @ and a name."""
        self.address: Final = address
        self._lines: Final[list[str]] = []
        self._socket: Final = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        self._socket.bind(f"\0{address[1:]}" if address.startswith("@") else address)

    @classmethod
    def in_folder(cls, folder: Path) -> Self:
        return cls(str(folder / "notify"))

    @property
    def lines(self) -> list[str]:
        while True:
            try:
                self._lines += self._socket.recv(4096).decode().splitlines()
            except BlockingIOError:
                return self._lines

    @property
    def pings(self) -> int:
        return self.lines.count("WATCHDOG=1")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._socket.close()
