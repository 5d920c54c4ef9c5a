"""`python -m bridge serve` runs cluster, API and relay; `python -m bridge relay` only the relay."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from agent import logs
from bridge import app, config
from bridge.errors import BridgeError, ConfigError

USAGE_ERROR = 2


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bridge",
        description="Takes jobs from a cluster to its agents, over RabbitMQ or HTTP, and their results back.",
        epilog="Settings: AMQP_URL (serve needs none) PUBLIC_AMQP_URL BRIDGE_STORE or DATABASE_URL "
        "BRIDGE_HOST BRIDGE_PORT BASE_URL "
        "ADMIN_PASSWORD_FILE READY_MAX ZOMBIE_JOB_TIMEOUT CUSTOM_TAGS DEFAULT_TAGS_PER_WORKSPACE; "
        "for TLS: TLS_CERT_FILE TLS_KEY_FILE CA_FILE CLIENT_CERT_FILE CLIENT_KEY_FILE; "
        "for relay: AGENT_TOKEN BASE_INTERNAL_URL.",
    )
    parser.add_argument("command", choices=["serve", "relay"])
    command = parser.parse_args(argv).command
    try:
        settings = config.read(os.environ, relay_only=command == "relay")
        logs.configure("text" if sys.stderr.isatty() else "json")
        asyncio.run(app.serve(settings) if command == "serve" else app.relay(settings))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
