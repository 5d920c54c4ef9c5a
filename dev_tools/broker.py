"""Find a RabbitMQ, or start one, in the order that the README promises."""

import atexit
import os
from collections.abc import Callable, Mapping
from typing import Final

from dev_tools.brokers.apt import install_rabbitmq
from dev_tools.brokers.broker import Broker, BrokerError, NotHere, OutOfReach
from dev_tools.brokers.container import ContainerBroker
from dev_tools.brokers.foreign import ForeignBroker
from dev_tools.brokers.node import PrivateNode, installed_server

__all__ = ["Broker", "BrokerError", "NotHere", "OutOfReach", "find"]

CHOICE: Final = "ORVANTA_BROKER"


def find() -> Broker:
    """A RabbitMQ that answers; close it. Raises `BrokerError`, which says what to type.

    ORVANTA_BROKER=url|container|node insists on one way; otherwise they are tried in this order.
    """
    choice = os.environ.get(CHOICE, "")
    if choice and choice not in WAYS:
        raise BrokerError(f"{CHOICE} must be one of {', '.join(WAYS)}, not {choice!r}")
    names = [choice] if choice else list(WAYS)
    if not choice and os.environ.get("AMQP_URL"):
        names = ["url"]  # who names a broker wants no other
    reasons = []
    for name in names:
        try:
            return WAYS[name]()
        except NotHere as reason:
            reasons.append(f"  {name}: {reason}")
    raise BrokerError("no RabbitMQ:\n" + "\n".join(reasons))


def _started(broker: Broker) -> Broker:
    atexit.register(broker.close)
    try:
        broker.start()
    except BaseException:
        broker.close()
        raise
    return broker


def _container() -> Broker:
    broker = ContainerBroker()
    try:
        return _started(broker)
    except BrokerError as error:  # an engine without the image or the rights is as good as none
        raise NotHere(str(error)) from error


def _node() -> Broker:
    if installed_server() is None:
        install_rabbitmq()
    server = installed_server()
    if server is None:
        raise NotHere("rabbitmq-server is installed but its program was not found")
    return _started(PrivateNode(server))


WAYS: Final[Mapping[str, Callable[[], Broker]]] = {
    "url": ForeignBroker,
    "container": _container,
    "node": _node,
}
