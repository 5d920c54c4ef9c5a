"""What is the same of every PostgreSQL that a run starts for itself."""

import secrets
import time
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final, Self

import psycopg

from dev_tools.ports import free_ports

USER: Final = "orvanta"
START_S: Final = 60.0
PAUSE_S: Final = 0.05
LOG_TAIL: Final = 2_000  # characters shown when it does not start
DURABLE: Final = ("shared_buffers=32MB", "max_connections=200")
# Tests kill the server, never the machine.
SETTINGS: Final = (*DURABLE, "fsync=off", "full_page_writes=off")


class DatabaseError(Exception):
    """There is no PostgreSQL; the text says what to type."""


class DatabaseServer(ABC):
    """Its address outlasts `stop`, `kill` and `start`."""

    def __init__(self) -> None:
        (self._port,) = free_ports(1)
        self._password: Final = secrets.token_hex(16)

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://{USER}:{self._password}@127.0.0.1:{self._port}/{database}"

    def start(self) -> None:
        """Returns when it answers."""
        end_s = time.monotonic() + START_S
        while not self._answers():
            if not self._is_running():
                self._launch()  # again where children of a killed one keep it out
            if time.monotonic() > end_s:
                raise DatabaseError(f"PostgreSQL does not answer; its log ends:\n{self._said()[-LOG_TAIL:]}")
            time.sleep(PAUSE_S)

    @abstractmethod
    def stop(self) -> None: ...

    @abstractmethod
    def kill(self) -> None:
        """`kill -9`."""

    @abstractmethod
    def close(self) -> None:
        """Nobody reads its data again."""

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

    @abstractmethod
    def _launch(self) -> None: ...

    @abstractmethod
    def _is_running(self) -> bool: ...

    @abstractmethod
    def _said(self) -> str:
        """Its log."""

    def _answers(self) -> bool:
        with suppress(psycopg.OperationalError):
            self.run("SELECT 1")
            return True
        return False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()
