"""The container engine of this machine, Docker or podman, and what it says when it refuses."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from dev_tools.brokers.broker import BrokerError, NotHere

PING_S: Final = 5


def engine_address() -> str:
    """The address of the engine that answers. Raises `NotHere`."""
    for address in _candidates():
        if _answers(address):
            return address
    raise NotHere("neither Docker nor podman answers (DOCKER_HOST names one in an unusual place)")


def gateway() -> str:
    """This machine, as a container finds it. Podman does not know Docker's name for it."""
    import docker  # noqa: PLC0415 - a fifth of a second, wasted where no engine is

    client = docker.from_env()
    try:
        # Podman's answer to a search by name is empty.
        usual = next(one for one in client.networks.list() if one.name == "bridge")
        return str(usual.attrs["IPAM"]["Config"][0]["Gateway"])
    finally:
        client.close()


@contextmanager
def engine_errors() -> Iterator[None]:
    import docker  # noqa: PLC0415 - see above

    try:
        yield
    except (docker.errors.DockerException, OSError) as error:
        raise BrokerError(f"the container engine refused: {error}") from error


def _candidates() -> Iterator[str]:
    if named := os.environ.get("DOCKER_HOST"):
        yield named
        return
    personal = os.environ.get("XDG_RUNTIME_DIR", "")
    sockets = ["/var/run/docker.sock", "/run/podman/podman.sock"]
    if personal:
        sockets += [f"{personal}/docker.sock", f"{personal}/podman/podman.sock"]
    yield from (f"unix://{path}" for path in sockets if Path(path).exists())


def _answers(address: str) -> bool:
    import docker  # noqa: PLC0415 - see above

    try:
        client = docker.DockerClient(base_url=address, timeout=PING_S)
    except docker.errors.DockerException:
        return False
    try:
        return bool(client.ping())
    except (docker.errors.DockerException, OSError):
        return False
    finally:
        client.close()
