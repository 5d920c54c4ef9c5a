"""`python -m bridge serve` runs cluster, API and relay, `relay` only the relay; `broker` is for operators."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence

from agent import logs
from bridge import app, config, operators, tokens_command, trust_command
from bridge.devices.service import Rules
from bridge.errors import BridgeError, ConfigError

USAGE_ERROR = 2
BROKER_COMMANDS = {
    "config": "the lines of rabbitmq.conf by which RabbitMQ asks the bridge at BASE_URL what an agent may do",
    "permissions": "static users and permissions with the same rights, for a RabbitMQ that cannot load the "
    "plugin (BROKER_AUTH=static): definitions to import",
}


def main(argv: Sequence[str]) -> int:
    asked = _parser().parse_args(argv)
    try:
        if asked.command == "broker":
            print(operators.broker(asked.what, os.environ))
            return 0
        if asked.command in trust_command.SUBJECTS:
            return trust_command.run(asked, os.environ, print)
        if asked.command == "tokens":
            return tokens_command.run(asked, os.environ, print)
        rules = Rules(
            require_approval=asked.require_approval, shared_tokens=getattr(asked, "shared_tokens", False)
        )
        settings = config.read(os.environ, relay_only=asked.command == "relay", devices=rules)
        logs.configure("text" if sys.stderr.isatty() else "json")
        asyncio.run(app.serve(settings) if asked.command == "serve" else app.relay(settings))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m bridge",
        description="Takes jobs from a cluster to its agents, over RabbitMQ or HTTP, and their results back.",
        epilog="Settings: AMQP_URL (serve needs none) PUBLIC_AMQP_URL MANAGEMENT_URL BROKER_AUTH "
        "BRIDGE_STORE or DATABASE_URL BRIDGE_HOST BRIDGE_PORT BASE_URL "
        "ADMIN_PASSWORD_FILE READY_MAX ZOMBIE_JOB_TIMEOUT CUSTOM_TAGS DEFAULT_TAGS_PER_WORKSPACE; "
        "for TLS: TLS_CERT_FILE TLS_KEY_FILE CA_FILE CLIENT_CERT_FILE CLIENT_KEY_FILE; "
        "for relay: AGENT_TOKEN BASE_INTERNAL_URL.",
    )
    commands = parser.add_subparsers(
        dest="command", required=True, metavar="serve|relay|broker|keys|devices|tokens"
    )
    serve = commands.add_parser("serve", help="cluster, API and relay")
    relay = commands.add_parser("relay", help="only the relay, for a cluster at BASE_INTERNAL_URL")
    for one in (serve, relay):
        one.add_argument(
            "--require-approval", action="store_true", help="bind no device to a token without an admin"
        )
    relay.add_argument(
        "--shared-tokens", action="store_true", help="any number of machines may use an agent token"
    )
    trust_command.add_to(commands)
    tokens_command.add_to(commands)
    broker = commands.add_parser("broker", help="what a RabbitMQ has to be told")
    whats = broker.add_subparsers(dest="what", required=True, metavar="config|permissions")
    for what, meaning in BROKER_COMMANDS.items():
        whats.add_parser(what, help=meaning)
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
