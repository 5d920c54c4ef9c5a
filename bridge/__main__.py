"""`python -m bridge serve` runs the cluster with its relay, `relay` and `worker` one of its parts alone.

Installed, the same is called `orvanta-bridge`.
"""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, NoReturn

from bridge import command_line
from bridge.errors import BridgeError, ConfigError

if TYPE_CHECKING:
    from bridge.worker.settings import WorkerSettings

USAGE_ERROR = 2


def main(argv: Sequence[str]) -> int:
    asked = command_line.parser().parse_args(argv)
    try:
        return _do(asked)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except BridgeError as error:
        print(error, file=sys.stderr)
        return 1


def entry() -> NoReturn:
    """The console script `orvanta-bridge`."""
    sys.exit(main(sys.argv[1:]))


def _do(asked: argparse.Namespace) -> int:
    if asked.command in ("serve", "relay", "worker"):
        return _run(asked)
    if asked.command == "broker":
        from bridge import operators  # noqa: PLC0415 each command loads what it needs, and no more

        print(operators.broker(asked.what, os.environ))
        return 0
    if asked.command == "tokens":
        from bridge import tokens_command  # noqa: PLC0415 see above

        return tokens_command.run(asked, os.environ, print)
    from bridge import trust_command  # noqa: PLC0415 see above

    return trust_command.run(asked, os.environ, print)


def _run(asked: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 see above

    from agent import logs  # noqa: PLC0415 see above
    from bridge import app, config  # noqa: PLC0415 see above
    from bridge.devices.service import Rules  # noqa: PLC0415 see above

    rules = Rules(
        require_approval=getattr(asked, "require_approval", False),
        shared_tokens=getattr(asked, "shared_tokens", False),
    )
    settings = config.read(
        os.environ, relay_only=asked.command == "relay", devices=rules, worker=_worker_of(asked)
    )
    logs.configure("text" if sys.stderr.isatty() else "json")
    run = {"serve": app.serve, "relay": app.relay, "worker": app.work}[asked.command]
    asyncio.run(run(settings))
    return 0


def _worker_of(asked: argparse.Namespace) -> "WorkerSettings | None":
    from bridge.worker import settings  # noqa: PLC0415 see above

    if asked.command == "worker":
        return settings.alone(os.environ, asked.tags, asked.slots)
    if asked.command == "serve" and not asked.no_worker:
        return settings.read(os.environ, asked.worker_tags)
    return None


if __name__ == "__main__":
    entry()
