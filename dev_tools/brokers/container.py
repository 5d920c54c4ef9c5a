"""RabbitMQ 4 in a container, through testcontainers, where Docker or podman answers."""

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Final

from bridge.broker.setup import PLUGINS, rabbitmq_conf
from dev_tools.brokers.bridges import Bridges, serve_vhost
from dev_tools.brokers.broker import Broker, BrokerError, NotHere
from dev_tools.brokers.leftovers import CONTAINER, abandoned_containers, new_folder
from dev_tools.brokers.readiness import wait_until_ready
from dev_tools.brokers.tls import tls_settings
from dev_tools.certificates import Pair, ThrowAwayCA
from dev_tools.ports import free_ports

if TYPE_CHECKING:
    from testcontainers.core.container import DockerContainer

IMAGE: Final = "rabbitmq:4-management"
USER: Final = "orvanta"
PING_S: Final = 5
START_S: Final = 120.0
STOP_S: Final = 30
TRIES: Final = 5
LOG_TAIL: Final = 2_000  # characters shown when it does not start
SETTINGS: Final = """\
disk_free_limit.absolute = 50MB
default_user_tags.administrator = true
default_user_tags.impersonator = true
listeners.ssl.default = 5671
"""
TLS: Final = Path("/etc/rabbitmq/tls")


def engine_address() -> str:
    """The address of the engine that answers. Raises `NotHere`."""
    for address in _candidates():
        if _answers(address):
            return address
    raise NotHere("neither Docker nor podman answers (DOCKER_HOST names one in an unusual place)")


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
    import docker  # noqa: PLC0415 - a fifth of a second, wasted where no engine is

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


class ContainerBroker(Broker):
    kind = "container"

    def __init__(self) -> None:
        """Prepares it; `start` starts it, and pulls the image if it must. Raises `NotHere`."""
        os.environ["DOCKER_HOST"] = engine_address()  # testcontainers reads it on import
        # Its reaper would be a second image and a container that stays a while; `leftovers` does that work.
        os.environ["TESTCONTAINERS_RYUK_DISABLED"] = "true"
        amqp, amqps, management = free_ports(3)
        password = secrets.token_hex(16)
        self.url = f"amqp://{USER}:{password}@127.0.0.1:{amqp}/"
        self.management_url = f"http://{USER}:{password}@127.0.0.1:{management}"
        self.tls_url = f"amqps://{USER}:{password}@127.0.0.1:{amqps}/"
        self._management_url: Final = self.management_url
        self._bridges: Final = Bridges("0.0.0.0")  # noqa: S104 the engine decides from which network it asks
        serve_vhost("/", self._bridges, self.management_url)
        remove_abandoned()
        self._folder: Final = new_folder()
        self.ca = ThrowAwayCA(self._folder / "tls")
        self._container: Final = _describe({5672: amqp, 5671: amqps, 15672: management}, password)
        _configure(self._container, self.ca, self._bridges.port)
        self._is_made = False

    def start(self) -> None:
        with engine_errors():
            if self._is_made:
                self._container.get_wrapped_container().start()
            else:
                self._make()
            try:
                wait_until_ready(self.url, self._management_url, START_S, self._is_running)
            except BrokerError as error:
                raise BrokerError(f"{error}; its log ends:\n{self._said()}") from None

    def stop(self) -> None:
        with engine_errors():
            self._container.get_wrapped_container().stop(timeout=STOP_S)

    def kill(self) -> None:
        if self._is_running():
            with engine_errors():
                wrapped = self._container.get_wrapped_container()
                wrapped.kill()
                wrapped.wait()

    def ctl(self, *arguments: str) -> str:
        with engine_errors():
            ended = self._container.exec(["rabbitmqctl", "--quiet", *arguments])
        if ended.exit_code:
            raise BrokerError(f"rabbitmqctl {arguments[0]} failed: {ended.output.decode(errors='replace')}")
        return ended.output.decode(errors="replace")

    @property
    def bridges(self) -> Bridges:
        return self._bridges

    def close(self) -> None:
        self._bridges.close()
        if self._is_made:
            with engine_errors():
                self._container.stop(force=True, delete_volume=True)
            self._is_made = False
        shutil.rmtree(self._folder, ignore_errors=True)

    def _make(self) -> None:
        """Podman may stop reading what is copied in before its end, and calls that an error: once more."""
        import docker  # noqa: PLC0415 - see above

        for left in reversed(range(TRIES)):
            try:
                self._container.start()
                break
            except docker.errors.APIError:
                self._container.stop(force=True, delete_volume=True)
                if not left:
                    raise
        self._is_made = True
        (self._folder / CONTAINER).write_text(self._container.get_container_id())

    def _is_running(self) -> bool:
        if not self._is_made:
            return False
        self._container.reload()
        return self._container.status == "running"

    def _said(self) -> str:
        """The end of its log."""
        return b"".join(self._container.get_logs())[-LOG_TAIL:].decode(errors="replace")


def _describe(ports: dict[int, int], password: str) -> "DockerContainer":
    """The container: its ports (inside → loopback here) are fixed, so that a restart keeps the address."""
    from testcontainers.core.container import DockerContainer  # noqa: PLC0415 - reads DOCKER_HOST on import

    container = DockerContainer(IMAGE)
    container.with_envs(RABBITMQ_DEFAULT_USER=USER, RABBITMQ_DEFAULT_PASS=password)
    container.with_kwargs(labels={"orvanta.edge": "broker"})
    for inside, outside in ports.items():
        # Docker takes (address, port); testcontainers only passes it on
        container.ports[f"{inside}/tcp"] = ("127.0.0.1", outside)  # type: ignore[assignment] # typed too narrowly
    return container


def _configure(container: "DockerContainer", ca: ThrowAwayCA, bridges: int) -> None:
    pair = ca.issue("broker")
    inside = Pair(TLS / pair.cert.name, TLS / pair.key.name)
    asking = rabbitmq_conf(f"http://{_gateway()}:{bridges}")
    settings = SETTINGS + tls_settings(TLS / ca.file.name, inside) + asking
    container.with_copy_into_container(settings.encode(), "/etc/rabbitmq/conf.d/20-orvanta.conf")
    container.with_copy_into_container(f"[{','.join(PLUGINS)}].\n".encode(), "/etc/rabbitmq/enabled_plugins")
    for file in (ca.file, pair.cert, pair.key):
        container.with_copy_into_container(file.read_bytes(), str(TLS / file.name))


def _gateway() -> str:
    """This machine, as a container finds it. Podman does not know Docker's name for it."""
    import docker  # noqa: PLC0415 - see above

    client = docker.from_env()
    try:
        # Podman's answer to a search by name is empty.
        usual = next(one for one in client.networks.list() if one.name == "bridge")
        return str(usual.attrs["IPAM"]["Config"][0]["Gateway"])
    finally:
        client.close()


def remove_abandoned() -> None:
    """Containers of runs that were killed."""
    import docker  # noqa: PLC0415 - see above

    client = docker.from_env()
    for folder, container_id in list(abandoned_containers()):
        with suppress(docker.errors.APIError):  # it may be gone already
            client.containers.get(container_id).remove(force=True, v=True)
        shutil.rmtree(folder, ignore_errors=True)
    client.close()


@contextmanager
def engine_errors() -> Iterator[None]:
    import docker  # noqa: PLC0415 - see above

    try:
        yield
    except (docker.errors.DockerException, OSError) as error:
        raise BrokerError(f"the container engine refused: {error}") from error
