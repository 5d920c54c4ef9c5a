"""How a RabbitMQ is told to ask the bridge, or, where it cannot, what it has to be told instead. Pure."""

import base64
import hashlib
import hmac
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Final

from agent.wire.claims import Tag, WorkerName
from agent.wire.routing import UP
from bridge.broker.auth import NOTHING, as_patterns

PLUGINS: Final = ("rabbitmq_management", "rabbitmq_auth_backend_http", "rabbitmq_auth_backend_cache")
ASKED_AT: Final = "/api/broker_auth"  # of the bridge
CACHE_S: Final = 86_400  # what a login may do never changes, and each log-in is asked about anew
ASK_S: Final = 10
SALT_BYTES: Final = 4

CONF: Final = """\
# The service account and people: RabbitMQ's own users. Agents: the bridge is asked.
auth_backends.1 = internal
# Every log-in is asked about, so that a revoked token opens nothing. What an agent may do is kept for a day:
# it is the same for as long as its log-in lives, and agents that are there go on while the bridge is away.
auth_backends.2.authn = http
auth_backends.2.authz = cache
auth_cache.cached_backend = http
auth_cache.cache_ttl = {cache_ms}
auth_http.http_method = post
auth_http.request_timeout = {ask_ms}
auth_http.user_path = {url}/user
auth_http.vhost_path = {url}/vhost
auth_http.resource_path = {url}/resource
auth_http.topic_path = {url}/topic
"""


TLS: Final = """\
auth_http.ssl_options.verify = verify_peer
auth_http.ssl_options.cacertfile = {ca}
"""
SYSTEM_CAS: Final = Path("/etc/ssl/certs/ca-certificates.crt")


def rabbitmq_conf(bridge_url: str, ca_file: Path | None = None) -> str:
    """Lines for rabbitmq.conf. `bridge_url`: as RabbitMQ finds it, without a slash at the end.

    `ca_file`: by which it checks a bridge that serves HTTPS; None: the CAs of Debian's own store.
    """
    lines = CONF.format(url=bridge_url + ASKED_AT, cache_ms=CACHE_S * 1000, ask_ms=ASK_S * 1000)
    return lines + (TLS.format(ca=ca_file or SYSTEM_CAS) if bridge_url.startswith("https:") else "")


def static_password(secret: bytes, login: str) -> str:
    """The same whenever it is asked for, so that it is kept nowhere."""
    return hmac.new(secret, login.encode(), hashlib.sha256).hexdigest()


def definitions(
    logins: Mapping[str, tuple[WorkerName, Iterable[Tag]]], vhost: str, secret: bytes
) -> dict[str, Any]:
    """Users and permissions for `rabbitmqctl import_definitions`; passwords as their salted hashes only."""
    patterns = {login: as_patterns(worker, tags) for login, (worker, tags) in logins.items()}
    return {
        "users": [
            {
                "name": login,
                "password_hash": _password_hash(static_password(secret, login)),
                "hashing_algorithm": "rabbit_password_hashing_sha256",
                "tags": [],
            }
            for login in logins
        ],
        "permissions": [
            {"user": login, "vhost": vhost, **{right: one[right] for right in ("configure", "write", "read")}}
            for login, one in patterns.items()
        ],
        "topic_permissions": [
            {"user": login, "vhost": vhost, "exchange": UP, "write": one["topic"], "read": NOTHING}
            for login, one in patterns.items()
        ],
    }


def _password_hash(password: str) -> str:
    salt = os.urandom(SALT_BYTES)
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()
