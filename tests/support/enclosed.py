"""A network namespace that reaches nothing but a few ports of this machine, through sockets put into it."""

import ctypes
import os
import shutil
import socket
import subprocess
import threading
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Final, Self

import pytest

CLONE_NEWNET: Final = 0x40000000
CHUNK_BYTES: Final = 64 * 1024


class Enclosed:
    """`words` before a command run it inside, where 127.0.0.1:<port> is this machine's, and no more."""

    def __init__(self, *ports: int) -> None:
        self._close: Final = ExitStack()
        self._holder: Final = subprocess.Popen(["unshare", "--net", "sleep", "infinity"])
        self._close.callback(self._end)
        self.words: Final = ("nsenter", "--target", str(self._holder.pid), "--net")
        own, theirs = Path("/proc/self/ns/net"), Path(f"/proc/{self._holder.pid}/ns/net")
        while theirs.readlink() == own.readlink():
            assert self._holder.poll() is None, "unshare --net failed"
        subprocess.run([*self.words, "ip", "link", "set", "lo", "up"], check=True)
        for port in ports:
            listener = self._close.enter_context(_listening_in(self._holder.pid, port))
            threading.Thread(target=_serve, args=(listener, port), daemon=True).start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self._close.close()

    def _end(self) -> None:
        self._holder.kill()
        self._holder.wait()


def require_namespaces() -> None:
    missing = [tool for tool in ("unshare", "nsenter", "ip") if shutil.which(tool) is None]
    if os.geteuid() != 0 or missing:
        pytest.skip(f"needs root and a network namespace (missing: {missing or 'root'})")


def _listening_in(pid: int, port: int) -> socket.socket:
    """A socket stays where it was made, whoever uses it: a thread goes there to make it."""
    made: list[socket.socket | BaseException] = []

    def make() -> None:
        try:
            with open(f"/proc/{pid}/ns/net") as namespace:  # noqa: PTH123 its descriptor is meant
                gone = ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET)
            assert gone == 0, f"setns: {os.strerror(ctypes.get_errno())}"
            made.append(socket.create_server(("127.0.0.1", port)))
        except BaseException as error:  # noqa: BLE001 raised again in the thread that asked
            made.append(error)

    thread = threading.Thread(target=make)
    thread.start()
    thread.join()
    if isinstance(made[0], BaseException):
        raise made[0]
    return made[0]


def _serve(listener: socket.socket, port: int) -> None:
    with suppress(OSError):  # closed: the test is over
        while True:
            near, _ = listener.accept()
            try:
                far = socket.create_connection(("127.0.0.1", port), timeout=5)
            except OSError:
                near.close()
                continue
            far.settimeout(None)
            for one, other in ((near, far), (far, near)):
                threading.Thread(target=_pump, args=(one, other), daemon=True).start()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with suppress(OSError):
        while chunk := source.recv(CHUNK_BYTES):
            target.sendall(chunk)
    for one in (source, target):
        with suppress(OSError):
            one.shutdown(socket.SHUT_RDWR)
        one.close()
