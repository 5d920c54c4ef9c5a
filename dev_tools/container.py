"""A server in a container, through testcontainers, where Docker or podman answers."""

import os
import shutil
from collections.abc import Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from dev_tools.brokers.broker import BrokerError
from dev_tools.brokers.leftovers import CONTAINER, abandoned_containers, new_folder
from dev_tools.engine import engine_address, engine_errors

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

STOP_S: Final = 30
TRIES: Final = 5


class Container:
    """Its address and data outlast `stop`, `kill` and `start`. All of it raises `BrokerError`."""

    def __init__(
        self,
        image: str,
        what: str,
        env: Mapping[str, str],
        ports: Mapping[int, int],
        command: Sequence[str] = (),
    ) -> None:
        """Prepares it; `start` starts it, and pulls the image if it must. Raises `NotHere`.

        `ports` (inside → loopback here) are fixed, so that a restart keeps the address.
        """
        os.environ["DOCKER_HOST"] = engine_address()  # testcontainers reads it on import
        # Its reaper would be a second image and a container that stays a while; `leftovers` does that work.
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
        _remove_abandoned()
        self.folder: Final = new_folder()
        self._container: Final = _described(image, what, env, ports, command)
        self._is_made = False

    def copy_in(self, content: bytes, inside: str) -> None:
        """As the file `inside`, before its first start."""
        self._container.with_copy_into_container(content, inside)

    def start(self) -> None:
        with engine_errors():
            if self._is_made:
                self._container.get_wrapped_container().start()
            else:
                self._make()

    def stop(self) -> None:
        with engine_errors():
            self._container.get_wrapped_container().stop(timeout=STOP_S)

    def kill(self) -> None:
        if self.is_running():
            with engine_errors():
                wrapped = self._container.get_wrapped_container()
                wrapped.kill()
                wrapped.wait()

    def close(self) -> None:
        """Nobody reads its data again. May be called again."""
        if self._is_made:
            with engine_errors():
                self._container.stop(force=True, delete_volume=True)
            self._is_made = False
        shutil.rmtree(self.folder, ignore_errors=True)

    def run(self, command: Sequence[str], name: str) -> str:
        """What a command in it says; an error speaks of it by its `name`."""
        with engine_errors():
            ended = self._container.exec(list(command))
        told = ended.output.decode(errors="replace")
        if ended.exit_code:
            raise BrokerError(f"{name} failed: {told}")
        return told

    def is_running(self) -> bool:
        if not self._is_made:
            return False
        with engine_errors():
            self._container.reload()
            return self._container.status == "running"

    def said(self) -> str:
        """Its log."""
        if not self._is_made:
            return ""
        with engine_errors():
            return b"".join(self._container.get_logs()).decode(errors="replace")

    def _make(self) -> None:
        """Podman may stop reading what is copied in before its end, and calls that an error: once more."""
        import docker  # noqa: PLC0415 - a fifth of a second, wasted where no engine is

        for left in reversed(range(TRIES)):
            try:
                self._container.start()
                break
            except docker.errors.APIError:
                self._container.stop(force=True, delete_volume=True)
                if not left:
                    raise
        self._is_made = True
        (self.folder / CONTAINER).write_text(self._container.get_container_id())


def _described(
    image: str, what: str, env: Mapping[str, str], ports: Mapping[int, int], command: Sequence[str]
) -> "DockerContainer":
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - reads DOCKER_HOST on import

    container = DockerContainer(image)
    container.with_envs(**env)
    container.with_kwargs(labels={"orvanta.edge": what})
    if command:
        container.with_command(list(command))
    for inside, outside in ports.items():
        # Docker takes (address, port); testcontainers only passes it on
        container.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)  # type: ignore[assignment] # typed too narrowly
    return container


def _remove_abandoned() -> None:
    """Containers of runs that were killed."""
    import docker  # noqa: PLC0415 - see above

    client = docker.from_env()
    for folder, container_id in list(abandoned_containers()):
        with suppress(docker.errors.APIError):  # it may be gone already
            client.containers.get(container_id).remove(force=True, v=True)
        shutil.rmtree(folder, ignore_errors=True)
    client.close()
