"""PostgreSQL 17 in a container."""

from collections.abc import Sequence
from typing import Final

from dev_tools.container import Container
from dev_tools.databases.server import USER, DatabaseServer

IMAGE: Final = "postgres:17"


class ContainerDatabase(DatabaseServer):
    def __init__(self, settings: Sequence[str]) -> None:
        """Prepares it; `start` starts it. Raises `NotHere`."""
        super().__init__()
        login = {"POSTGRES_USER": USER, "POSTGRES_PASSWORD": self._password, "POSTGRES_DB": "postgres"}
        command = ["postgres", *(word for setting in settings for word in ("-c", setting))]
        self._container: Final = Container(IMAGE, "database", login, {5432: self._port}, command)

    def stop(self) -> None:
        self._container.stop()

    def kill(self) -> None:
        self._container.kill()

    def close(self) -> None:
        self._container.close()

    def _launch(self) -> None:
        self._container.start()

    def _is_running(self) -> bool:
        return self._container.is_running()

    def _said(self) -> str:
        return self._container.said()
