"""Which bridge a RabbitMQ of ours asks: one broker serves many bridges, each on a virtual host of its own.

RabbitMQ has one address to ask (rabbitmq_auth_backend_http), set before it starts. So it asks this process,
and this process asks the bridge of that virtual host. A log-in names no virtual host: it is put to every
bridge that is known, and the one that minted the token lets it in. A bridge that does not answer says no.
"""

import http.client
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from ssl import SSLContext
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from dev_tools.brokers.static_users import keep_told

Bridge = tuple[str, SSLContext | None]  # its address; what it is checked by, over TLS

ASK_S: Final = 9.0  # RabbitMQ waits 10
FORM: Final = {"Content-Type": "application/x-www-form-urlencoded"}
DENY: Final = b"deny"
USUAL: Final[Bridge] = (
    "http://127.0.0.1:8000",
    None,
)  # of whoever starts a bridge by hand beside `./dev broker`


class Bridges:
    """The bridges of one broker, by virtual host."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        """Answers at once, on a free port of `host`."""
        self._known: dict[str, Bridge] = {}
        self._server = ThreadingHTTPServer((host, 0), _asked_of(self))
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, name="bridges", daemon=True).start()

    @property
    def port(self) -> int:
        return int(self._server.server_address[1])

    def add(self, amqp_url: str, bridge_url: str, trusted: SSLContext | None = None) -> None:
        """From now on the virtual host of this address is this bridge's. `trusted` is for one over TLS."""
        self._known[vhost_of(amqp_url)] = (bridge_url, trusted)

    def forget(self, amqp_url: str) -> None:
        self._known.pop(vhost_of(amqp_url), None)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def answer(self, path: str, body: bytes) -> bytes:
        """What the bridges say to one question; the last that came is asked first."""
        if path.endswith("/user"):
            asked = [*reversed(self._known.values())] or [USUAL]
        else:
            vhost = parse_qs(body.decode())["vhost"][0]
            asked = [self._known.get(vhost, USUAL)]
        for bridge in asked:
            if (said := _ask(bridge, path, body)) != DENY:
                return said
        return DENY


Asking = tuple[Bridges | None, str | None]
NOBODY: Final[Asking] = (None, None)
_BROKERS: Final[dict[str, Asking]] = {}  # by virtual host


def serve_vhost(vhost: str, bridges: Bridges | None, management_url: str | None) -> None:
    """Who answers for it, and where RabbitMQ's management API is."""
    _BROKERS[vhost] = (bridges, management_url)


def introduce(
    amqp_url: str, bridge_url: str, store: Path, trusted: SSLContext | None = None
) -> dict[str, str]:
    """RabbitMQ asks this bridge from now on about this virtual host, or is told its users.

    The settings that the bridge needs for it.
    """
    bridges, management_url = _BROKERS.get(vhost_of(amqp_url), NOBODY) if amqp_url else NOBODY
    if bridges is not None:
        bridges.add(amqp_url, bridge_url, trusted)
    if management_url is None:
        return {}
    if bridges is not None:
        return {"MANAGEMENT_URL": management_url}
    keep_told(amqp_url, store, management_url)
    return {"MANAGEMENT_URL": management_url, "BROKER_AUTH": "static"}


def vhost_of(amqp_url: str) -> str:
    return unquote(urlsplit(amqp_url).path[1:]) or "/"


def _ask(bridge: Bridge, path: str, body: bytes) -> bytes:
    address, trusted = urlsplit(bridge[0]), bridge[1]
    host, port = address.hostname or "", address.port
    connection = (
        http.client.HTTPSConnection(host, port, timeout=ASK_S, context=trusted)
        if address.scheme == "https"
        else http.client.HTTPConnection(host, port, timeout=ASK_S)
    )
    try:
        connection.request("POST", path, body, FORM)
        said = connection.getresponse().read()
    except (OSError, http.client.HTTPException):
        return DENY
    finally:
        connection.close()
    return said


def _asked_of(bridges: Bridges) -> type[BaseHTTPRequestHandler]:
    class Asked(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def answer(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            said = bridges.answer(self.path, body)
            self.send_response(200)
            self.send_header("Content-Length", str(len(said)))
            self.end_headers()
            self.wfile.write(said)

        do_POST = answer  # noqa: N815 the name is the library's

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 the name is the library's
            """Nobody reads it."""

    return Asked
