"""Virtual hosts: each test has a broker to itself without starting one."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from urllib.parse import urlsplit

import httpx

from dev_tools.brokers.bridges import serve_vhost
from dev_tools.brokers.broker import Broker, BrokerError

REQUEST_S: Final = 15.0


@contextmanager
def fresh_vhost(broker: Broker) -> Iterator[str]:
    """The AMQP address of a new virtual host, removed with all that is in it at the end.

    Raises `BrokerError` where the broker's management API is out of reach.
    """
    if broker.management_url is None:
        raise BrokerError(
            "this RabbitMQ's management API does not answer, so no virtual host can be made; "
            "set RABBITMQ_MANAGEMENT_URL=http://user:password@host:15672"
        )
    name = f"test-{secrets.token_hex(6)}"
    user = urlsplit(broker.url).username or "guest"
    with httpx.Client(base_url=f"{broker.management_url}/api", timeout=REQUEST_S) as api:
        api.put(f"/vhosts/{name}").raise_for_status()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        api.put(f"/permissions/{name}/{user}", json=everything).raise_for_status()
    serve_vhost(name, broker.bridges, broker.management_url)
    yield urlsplit(broker.url)._replace(path=f"/{name}").geturl()
    broker_address = f"{broker.management_url}/api/vhosts/{name}"
    httpx.delete(broker_address, timeout=REQUEST_S).raise_for_status()
