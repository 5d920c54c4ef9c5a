"""A private PostgreSQL of the machine's own package: own port, password and data; no rights needed."""

import os
import secrets
import shutil
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import psycopg

from dev_tools.apt import CannotInstall, install, services_stay_down
from dev_tools.brokers.leftovers import new_folder, note_beside, note_process
from dev_tools.ports import free_ports
from dev_tools.processes import Running

DEBIAN: Final = Path("/usr/lib/postgresql")
PACKAGE: Final = "postgresql"
USER: Final = "orvanta"
UNPRIVILEGED: Final = "postgres"  # the package brings it; a server refuses to run as root
START_S: Final = 60.0
STOP_S: Final = 30.0
PAUSE_S: Final = 0.05
LOG_TAIL: Final = 2_000  # characters shown when it does not start
DURABLE: Final = (
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "shared_buffers=32MB",
    "max_connections=200",
)
SETTINGS: Final = (*DURABLE, "fsync=off", "full_page_writes=off")  # tests kill the server, never the machine


class DatabaseError(Exception):
    """There is no PostgreSQL; the text says what to type."""


class PrivateDatabase:
    """Its address outlasts `stop`, `kill` and `start`."""

    def __init__(self, programs: Path, settings: Sequence[str] = SETTINGS) -> None:
        """Lays out its data; `start` starts it."""
        self._settings: Final = settings
        (self._port,) = free_ports(1)
        self._password: Final = secrets.token_hex(16)
        self._programs: Final = programs
        self._folder: Final = new_folder()
        # Whoever runs the server must be able to come by here, which a checkout in /root would not allow.
        self._place: Final = Path(tempfile.mkdtemp(prefix="orvanta-postgresql-", dir="/tmp"))
        note_beside(self._folder, self._place)
        self._server: Running | None = None
        self._make()

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Returns when it answers."""
        end_s = time.monotonic() + START_S
        while not self._answers():
            if self._server is None or not self._server.is_running():
                self._server = self._launched()  # again where children of a killed one keep it out
            if time.monotonic() > end_s:
                tail = self._server.text()[-LOG_TAIL:]
                raise DatabaseError(f"PostgreSQL does not answer; its log ends:\n{tail}")
            time.sleep(PAUSE_S)

    def _launched(self) -> Running:
        settings = [word for setting in self._settings for word in ("-c", setting)]
        data = self._place / "data"
        command = [str(self._programs / "postgres"), "-D", str(data), "-p", str(self._port), *settings]
        launched = Running(
            [*_unprivileged(), *command], env=_env(), log=self._folder / "log", cwd=self._place
        )
        note_process(self._folder, launched.pid)
        return launched

    def stop(self) -> None:
        if self._server:
            self._server.stop(STOP_S)

    def kill(self) -> None:
        """`kill -9` of the postmaster; its children end by themselves."""
        if self._server:
            self._server.kill()

    def close(self) -> None:
        self.kill()  # nobody reads its data again
        shutil.rmtree(self._place, ignore_errors=True)
        shutil.rmtree(self._folder, ignore_errors=True)

    @contextmanager
    def fresh(self, template: str = "template0") -> Iterator[str]:
        """The name of a new database, dropped at the end."""
        name = f"test_{secrets.token_hex(6)}"
        self.run(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield name
        self.run(f"DROP DATABASE {name} WITH (FORCE)")

    def run(self, command: str) -> None:
        """As the server's superuser."""
        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(command.encode())

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

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.run("SELECT 1")
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def find(settings: Sequence[str] = SETTINGS) -> PrivateDatabase:
    """A PostgreSQL that answers; close it. Raises `DatabaseError`, which says what to type."""
    programs = _programs()
    if programs is None:
        try:
            with services_stay_down():
                install(PACKAGE)
        except CannotInstall as error:
            raise DatabaseError(str(error)) from error
        programs = _programs()
    if programs is None:
        raise DatabaseError(f"{PACKAGE} is installed but its programs were not found")
    made = PrivateDatabase(programs, settings)
    try:
        made.start()
    except BaseException:
        made.close()
        raise
    return made


def _programs() -> Path | None:
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
