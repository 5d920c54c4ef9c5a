"""A private PostgreSQL of the machine's own package: own port, password and data; no rights needed."""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from dev_tools.brokers.leftovers import new_folder, note_beside, note_process
from dev_tools.databases.server import LOG_TAIL, USER, DatabaseError, DatabaseServer
from dev_tools.processes import Running

DEBIAN: Final = Path("/usr/lib/postgresql")
UNPRIVILEGED: Final = "postgres"  # the package brings it; a server refuses to run as root
STOP_S: Final = 30.0
ALONE: Final = ("listen_addresses=127.0.0.1", "unix_socket_directories=")


class PrivateDatabase(DatabaseServer):
    def __init__(self, programs: Path, settings: Sequence[str]) -> None:
        """Lays out its data; `start` starts it."""
        super().__init__()
        self._settings: Final = (*ALONE, *settings)
        self._programs: Final = programs
        self._folder: Final = new_folder()
        # Whoever runs the server must be able to come by here, which a checkout in /root would not allow.
        self._place: Final = Path(tempfile.mkdtemp(prefix="orvanta-postgresql-", dir="/tmp"))
        note_beside(self._folder, self._place)
        self._server: Running | None = None
        self._make()

    def stop(self) -> None:
        if self._server:
            self._server.stop(STOP_S)

    def kill(self) -> None:
        """Of the postmaster; its children end by themselves."""
        if self._server:
            self._server.kill()

    def close(self) -> None:
        self.kill()
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    def _launch(self) -> None:
        settings = [word for setting in self._settings for word in ("-c", setting)]
        data = self._place / "data"
        command = [str(self._programs / "postgres"), "-D", str(data), "-p", str(self._port), *settings]
        self._server = Running(
            [*_unprivileged(), *command], env=_env(), log=self._folder / "log", cwd=self._place
        )
        note_process(self._folder, self._server.pid)

    def _is_running(self) -> bool:
        return self._server is not None and self._server.is_running()

    def _said(self) -> str:
        return "" if self._server is None else self._server.text()

    def _make(self) -> None:
        """Makes the cluster's files."""
        word = self._place / "password"
        word.write_text(self._password)
        if unprivileged := _unprivileged():
            shutil.chown(self._place, UNPRIVILEGED)
            shutil.chown(word, UNPRIVILEGED)
        command = [
            *unprivileged, str(self._programs / "initdb"), "--pgdata", str(self._place / "data"),
            "--username", USER, "--pwfile", str(word), "--auth", "password",
            "--encoding", "UTF8", "--locale", "C.UTF-8", "--no-sync",
        ]  # fmt: skip
        ended = subprocess.run(
            command, env=_env(), cwd=self._place, capture_output=True, text=True, check=False
        )
        if ended.returncode:
            raise DatabaseError(f"initdb failed: {(ended.stdout + ended.stderr)[-LOG_TAIL:]}")


def installed() -> Path | None:
    """Where the newest installed version has `postgres` and `initdb`."""
    found = sorted(DEBIAN.glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    if found:
        return found[-1].parent
    there = shutil.which("postgres")
    return None if there is None else Path(there).parent


def _unprivileged() -> list[str]:
    if os.geteuid() != 0:
        return []
    return ["setpriv", f"--reuid={UNPRIVILEGED}", f"--regid={UNPRIVILEGED}", "--clear-groups"]


def _env() -> dict[str, str]:
    return {"PATH": os.environ.get("PATH", os.defpath), "LANG": "C.UTF-8"}
