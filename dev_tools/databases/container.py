"""PostgreSQL 17 in a container, through testcontainers, where Docker or podman answers."""

import os
import shutil
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from dev_tools.brokers.container import engine_address, engine_errors, remove_abandoned
from dev_tools.brokers.leftovers import CONTAINER, new_folder
from dev_tools.databases.server import USER, DatabaseServer

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE: Final = "postgres:17"
STOP_S: Final = 30


class ContainerDatabase(DatabaseServer):
    def __init__(self, settings: Sequence[str]) -> None:
        """Prepares it; `start` starts it, and pulls the image if it must. Raises `NotHere`."""
        super().__init__()
        os.environ["DOCKER_HOST"] = engine_address()  # testcontainers reads it on import
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"  # `leftovers` does its work
        remove_abandoned()
        self._folder: Final = new_folder()
        self._container: Final = _describe(self._port, self._password, settings)
        self._is_made = False

    def stop(self) -> None:
        with engine_errors():
            self._container.get_wrapped_container().stop(timeout=STOP_S)

    def kill(self) -> None:
        if self._is_running():
            with engine_errors():
                wrapped = self._container.get_wrapped_container()
                wrapped.kill()
                wrapped.wait()

    def close(self) -> None:
        if self._is_made:
            with engine_errors():
                self._container.stop(force=True, delete_volume=True)
            self._is_made = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def _launch(self) -> None:
        with engine_errors():
            if self._is_made:
                self._container.get_wrapped_container().start()
                return
            self._container.start()
            self._is_made = True
            (self._folder / CONTAINER).write_text(self._container.get_container_id())

    def _is_running(self) -> bool:
        if not self._is_made:
            return False
        self._container.reload()
        return self._container.status == "running"

    def _said(self) -> str:
        return b"".join(self._container.get_logs()).decode(errors="replace") if self._is_made else ""


def _describe(port: int, password: str, settings: Sequence[str]) -> "DockerContainer":
    """Its port on the loopback here is fixed, so that a restart keeps the address."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - reads DOCKER_HOST on import

    container = DockerContainer(IMAGE)
    container.with_envs(POSTGRES_USER=USER, POSTGRES_PASSWORD=password, POSTGRES_DB="postgres")
    container.with_kwargs(labels={"orvanta.edge": "database"})
    container.with_command(["postgres", *(word for setting in settings for word in ("-c", setting))])
    container.ports["5432/tcp"] = ("127.0.0.1", port)  # type: ignore[assignment] # typed too narrowly
    return container
