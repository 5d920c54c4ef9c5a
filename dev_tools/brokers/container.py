"""RabbitMQ 4 in a container."""

import secrets
from pathlib import Path
from typing import Final

from bridge.broker.setup import PLUGINS, rabbitmq_conf
from dev_tools.brokers.bridges import Bridges, serve_vhost
from dev_tools.brokers.broker import Broker, BrokerError
from dev_tools.brokers.readiness import wait_until_ready
from dev_tools.brokers.tls import tls_settings
from dev_tools.certificates import Pair, ThrowAwayCA
from dev_tools.container import Container
from dev_tools.engine import gateway
from dev_tools.ports import free_ports

IMAGE: Final = "rabbitmq:4-management"
USER: Final = "orvanta"
START_S: Final = 120.0
LOG_TAIL: Final = 2_000  # characters shown when it does not start
SETTINGS: Final = """\
disk_free_limit.absolute = 50MB
default_user_tags.administrator = true
default_user_tags.impersonator = true
listeners.ssl.default = 5671
"""
TLS: Final = Path("/etc/rabbitmq/tls")


class ContainerBroker(Broker):
    kind = "container"

    def __init__(self) -> None:
        """Prepares it; `start` starts it. Raises `NotHere`."""
        amqp, amqps, management = free_ports(3)
        password = secrets.token_hex(16)
        login = {"RABBITMQ_DEFAULT_USER": USER, "RABBITMQ_DEFAULT_PASS": password}
        ports = {5672: amqp, 5671: amqps, 15672: management}
        self._container: Final = Container(IMAGE, "broker", login, ports)
        self.url = f"amqp://{USER}:{password}@127.0.0.1:{amqp}/"
        self.management_url = f"http://{USER}:{password}@127.0.0.1:{management}"
        self.tls_url = f"amqps://{USER}:{password}@127.0.0.1:{amqps}/"
        self._management_url: Final = self.management_url
        self._bridges: Final = Bridges("0.0.0.0")  # noqa: S104 the engine decides from which network it asks
        serve_vhost("/", self._bridges, self.management_url)
        self.ca = ThrowAwayCA(self._container.folder / "tls")
        _configure(self._container, self.ca, self._bridges.port)

    def start(self) -> None:
        self._container.start()
        try:
            wait_until_ready(self.url, self._management_url, START_S, self._container.is_running)
        except BrokerError as error:
            raise BrokerError(f"{error}; its log ends:\n{self._container.said()[-LOG_TAIL:]}") from None

    def stop(self) -> None:
        self._container.stop()

    def kill(self) -> None:
        self._container.kill()

    def ctl(self, *arguments: str) -> str:
        return self._container.run(["rabbitmqctl", "--quiet", *arguments], f"rabbitmqctl {arguments[0]}")

    @property
    def bridges(self) -> Bridges:
        return self._bridges

    def close(self) -> None:
        self._bridges.close()
        self._container.close()


def _configure(container: Container, ca: ThrowAwayCA, bridges: int) -> None:
    pair = ca.issue("broker")
    inside = Pair(TLS / pair.cert.name, TLS / pair.key.name)
    asking = rabbitmq_conf(f"http://{gateway()}:{bridges}")
    settings = SETTINGS + tls_settings(TLS / ca.file.name, inside) + asking
    container.copy_in(settings.encode(), "/etc/rabbitmq/conf.d/20-orvanta.conf")
    container.copy_in(f"[{','.join(PLUGINS)}].\n".encode(), "/etc/rabbitmq/enabled_plugins")
    for file in (ca.file, pair.cert, pair.key):
        container.copy_in(file.read_bytes(), str(TLS / file.name))
