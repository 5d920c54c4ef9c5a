"""Whether a RabbitMQ answers. An open port proves nothing: a container engine opens it early."""

import base64
import http.client
import socket
import time
from collections.abc import Callable
from typing import Final
from urllib.parse import urlsplit

from dev_tools.brokers.broker import BrokerError

PROBE_S: Final = 5.0
PAUSE_S: Final = 0.1
PROTOCOL_HEADER: Final = b"AMQP\x00\x00\x09\x01"
METHOD_FRAME: Final = (
    b"\x01"  # the server's Connection.Start; to a wrong version it would say "AMQP…" and hang up
)


def answers_amqp(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), PROBE_S) as probe:
            probe.sendall(PROTOCOL_HEADER)
            return probe.recv(1) == METHOD_FRAME
    except OSError:
        return False


def answers_management(management_url: str) -> bool:
    """Whether the management API at this address, user and password included, lets us in."""
    address = urlsplit(management_url)
    connection = http.client.HTTPConnection(address.hostname or "", address.port or 15672, timeout=PROBE_S)
    login = base64.b64encode(f"{address.username}:{address.password}".encode()).decode()
    try:
        connection.request("GET", "/api/whoami", headers={"Authorization": f"Basic {login}"})
        return connection.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def wait_until_ready(
    url: str, management_url: str, within_s: float, still_running: Callable[[], bool]
) -> None:
    """Raises `BrokerError` when the broker ended, or has not answered within `within_s`."""
    address = urlsplit(url)
    end_s = time.monotonic() + within_s
    while not (
        answers_amqp(address.hostname or "", address.port or 5672) and answers_management(management_url)
    ):
        if not still_running():
            raise BrokerError("RabbitMQ ended while it started")
        if time.monotonic() > end_s:
            raise BrokerError(f"RabbitMQ did not answer within {within_s:.0f} s")
        time.sleep(PAUSE_S)
