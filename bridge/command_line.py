"""The words that `python -m bridge` takes. It knows nothing of what they do, so to ask for them is cheap."""

import argparse

from agent.release import ShowVersion, called_as

BROKER_COMMANDS = {
    "config": "the lines of rabbitmq.conf by which RabbitMQ asks the bridge at BASE_URL what an agent may do",
    "permissions": "static users and permissions with the same rights, for a RabbitMQ that cannot load the "
    "plugin (BROKER_AUTH=static): definitions to import",
}


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser(
        prog=called_as("orvanta-bridge", "bridge"),
        description="Takes jobs from a cluster to its agents, over RabbitMQ or HTTP, and their results back.",
        epilog="Settings: AMQP_URL (serve needs none) PUBLIC_AMQP_URL MANAGEMENT_URL BROKER_AUTH "
        "BRIDGE_STORE or DATABASE_URL BRIDGE_HOST BRIDGE_PORT BASE_URL "
        "ADMIN_PASSWORD_FILE READY_MAX ZOMBIE_JOB_TIMEOUT CUSTOM_TAGS DEFAULT_TAGS_PER_WORKSPACE; "
        "for the normal worker: WORKER_GROUP WORKER_DIR; "
        "for TLS: TLS_CERT_FILE TLS_KEY_FILE CA_FILE CLIENT_CERT_FILE CLIENT_KEY_FILE; "
        "for relay: AGENT_TOKEN BASE_INTERNAL_URL.",
    )
    made.add_argument("--version", action=ShowVersion)
    commands = made.add_subparsers(
        dest="command", required=True, metavar="serve|worker|relay|broker|keys|devices|tokens|quarantine"
    )
    serve = commands.add_parser("serve", help="cluster, API, relay and a normal worker")
    _add_worker(commands, serve)
    relay = commands.add_parser("relay", help="only the relay, for a cluster at BASE_INTERNAL_URL")
    for one in (serve, relay):
        one.add_argument(
            "--require-approval", action="store_true", help="bind no device to a token without an admin"
        )
    relay.add_argument(
        "--shared-tokens", action="store_true", help="any number of machines may use an agent token"
    )
    _add_trust(commands)
    _add_tokens(commands)
    _add_quarantine(commands)
    broker = commands.add_parser("broker", help="what a RabbitMQ has to be told")
    whats = broker.add_subparsers(dest="what", required=True, metavar="config|permissions")
    for what, meaning in BROKER_COMMANDS.items():
        whats.add_parser(what, help=meaning)
    return made


def _add_worker(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]", serve: argparse.ArgumentParser
) -> None:
    serve.add_argument("--no-worker", action="store_true", help="run no flows and dependency jobs here")
    serve.add_argument(
        "--worker-tags", metavar="TAGS", default=None, help="what its normal worker serves (flow,dependency)"
    )
    worker = commands.add_parser("worker", help="one more normal worker, on the database of DATABASE_URL")
    worker.add_argument(
        "--tags", metavar="TAGS", default=None,
        help="what it serves, with commas between; beside these, tags of scripts (flow,dependency)",
    )  # fmt: skip
    worker.add_argument("--slots", type=int, default=None, help="jobs at once; turns of flows take none (2)")


def _add_trust(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    keys = commands.add_parser("keys", help="the keys that sign jobs").add_subparsers(
        dest="do", required=True
    )
    keys.add_parser("list", help="the newest first: it signs")
    keys.add_parser("rotate", help="a new one signs from now on; what the others signed holds as well")
    keys.add_parser("retire", help="what this one signed holds no more").add_argument("id", metavar="KID")
    devices = commands.add_parser("devices", help="the devices that agent tokens belong to")
    does = devices.add_subparsers(dest="do", required=True)
    does.add_parser("list", help="those that wait first")
    does.add_parser("approve", help="let it use its token").add_argument("id", metavar="KID")
    does.add_parser("forget", help="its token is no device's any more").add_argument("id", metavar="KID")


def _add_tokens(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    tokens = commands.add_parser("tokens", help="of a relay: the tokens of its agents")
    does = tokens.add_subparsers(dest="do", required=True)
    does.add_parser("list", help="who uses which, and what waits to be taken over")
    rotate = does.add_parser("rotate", help="hand a new token to an agent, over its live link")
    rotate.add_argument("worker", metavar="WORKER", help="its name, ag-<group>-<suffix>")
    rotate.add_argument(
        "--token-file", required=True, metavar="FILE", help="holds the new token; - reads it from stdin"
    )
    rotate.add_argument(
        "--shared", action="store_true", help="of a relay with --shared-tokens: others use it too"
    )


def _add_quarantine(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    quarantine = commands.add_parser("quarantine", help="late results of agents whose token was refused")
    does = quarantine.add_subparsers(dest="do", required=True)
    does.add_parser("list", help="the newest first; those that are decided too")
    for name, meaning in (
        ("show", "the result's document"),
        ("accept", "it becomes the job's result; not of a job that has ended"),
        ("reject", "its document goes"),
    ):
        does.add_parser(name, help=meaning).add_argument("id", metavar="JOB/ATTEMPT/WORKER")
