"""`python -m bridge serve` runs cluster, API and relay, `relay` only the relay; `broker` is for operators."""

import argparse
import os
import sys
from collections.abc import Sequence

from bridge import command_line
from bridge.errors import BridgeError, ConfigError

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


def _do(asked: argparse.Namespace) -> int:
    if asked.command in ("serve", "relay"):
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
        require_approval=asked.require_approval, shared_tokens=getattr(asked, "shared_tokens", False)
    )
    settings = config.read(os.environ, relay_only=asked.command == "relay", devices=rules)
    logs.configure("text" if sys.stderr.isatty() else "json")
    asyncio.run(app.serve(settings) if asked.command == "serve" else app.relay(settings))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
