"""The RabbitMQ that AMQP_URL names. It is not ours: we neither start nor stop it."""

import os
from typing import NoReturn
from urllib.parse import urlsplit

from dev_tools.brokers.bridges import serve_vhost
from dev_tools.brokers.broker import Broker, NotHere, OutOfReach
from dev_tools.brokers.readiness import answers_amqp, answers_management


class ForeignBroker(Broker):
    kind = "url"
    is_ours = False

    def __init__(self) -> None:
        """Raises `NotHere` when AMQP_URL is not set, or nobody answers there."""
        self.url = os.environ.get("AMQP_URL", "")
        if not self.url:
            raise NotHere("AMQP_URL is not set")
        address = urlsplit(self.url)
        if not answers_amqp(address.hostname or "", address.port or 5672):
            raise NotHere(f"no RabbitMQ answers at AMQP_URL ({address.hostname}:{address.port or 5672})")
        login = f"{address.username or 'guest'}:{address.password or 'guest'}"
        usual = f"http://{login}@{address.hostname}:15672"
        guess = os.environ.get("RABBITMQ_MANAGEMENT_URL", usual).rstrip("/")
        self.management_url = guess if answers_management(guess) else None
        serve_vhost("/", None, self.management_url)

    def start(self) -> NoReturn:
        raise OutOfReach("the RabbitMQ of AMQP_URL is not ours to start")

    def stop(self) -> NoReturn:
        raise OutOfReach("the RabbitMQ of AMQP_URL is not ours to stop; leave AMQP_URL out for one that is")

    kill = stop

    def close(self) -> None:
        """Nothing: it goes on as it was."""
