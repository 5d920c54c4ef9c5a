"""What every RabbitMQ that we found or started can do for tests, demo and benches."""

from abc import ABC, abstractmethod
from typing import Self

from dev_tools.brokers.bridges import Bridges
from dev_tools.certificates import ThrowAwayCA


class BrokerError(Exception):
    """BrokerError: NotHere · OutOfReach"""


class NotHere(BrokerError):
    """This way of finding a RabbitMQ leads nowhere on this machine; the text says why and how to mend it."""


class OutOfReach(BrokerError):
    """We may not start or stop this RabbitMQ: it is not ours."""


class Broker(ABC):
    """A RabbitMQ. Its addresses and durable messages outlast `stop`, `kill` and `start`."""

    kind: str  # "url", "container" or "node"
    url: str  # amqp://user:password@host:port/
    management_url: str | None  # http://user:password@host:port, without a slash at the end
    tls_url: str | None = None  # amqps://user:password@host:port/; a client certificate may be shown to it
    ca: ThrowAwayCA | None = None  # what it shows there is issued by this one
    is_ours: bool = True  # False: start, stop and kill raise OutOfReach
    pid: int | None = None  # of its process, where that is ours and on this machine

    @property
    def bridges(self) -> Bridges | None:
        """The bridges that it asks. None: it asks none of ours."""
        return None

    @abstractmethod
    def start(self) -> None:
        """Returns when it answers AMQP and HTTP. Does nothing if it runs. Raises `BrokerError`."""

    @abstractmethod
    def stop(self) -> None:
        """Ends it in order: clients are told. Returns when the process is gone."""

    @abstractmethod
    def kill(self) -> None:
        """Ends it by SIGKILL. Returns when the process is gone."""

    @abstractmethod
    def close(self) -> None:
        """Ends it for good and removes its data. May be called again."""

    def ctl(self, *arguments: str) -> str:
        """What `rabbitmqctl` says. Raises `OutOfReach` where it cannot be run."""
        raise OutOfReach(f"rabbitmqctl {arguments[0]} needs a RabbitMQ of our own; leave AMQP_URL out")

    def restart(self) -> None:
        self.stop()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_about: object) -> None:
        self.close()
