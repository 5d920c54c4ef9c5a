"""A RabbitMQ's TLS, in the words of rabbitmq.conf."""

from pathlib import Path

from dev_tools.certificates import Pair


def tls_settings(ca: Path, pair: Pair) -> str:
    """It shows `pair`. A client needs no certificate, and one that is shown is checked."""
    return f"""\
ssl_options.cacertfile = {ca}
ssl_options.certfile = {pair.cert}
ssl_options.keyfile = {pair.key}
ssl_options.verify = verify_peer
ssl_options.fail_if_no_peer_cert = false
"""
