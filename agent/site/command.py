"""`python -m agent status`, `doctor` and `support-bundle`: what a person at the site calls."""

import argparse
import json
import os
from typing import TYPE_CHECKING

from agent.errors import ConfigError

if TYPE_CHECKING:
    from agent.site.doctor import Asked


def run(options: argparse.Namespace) -> int:
    """The exit code: of the doctor 1 where a check has failed. Raises `AgentError`."""
    match options.command:
        case "status":
            _status(options)
            return 0
        case "doctor":
            return _doctor(options)
    return _bundle(options)


def _status(options: argparse.Namespace) -> None:
    from agent.site import look  # noqa: PLC0415 each command pays for its own imports: status is asked often

    if options.watch:
        try:
            look.watch(options.spool, as_json=options.json)
        except KeyboardInterrupt:
            return
    look.show(options.spool, as_json=options.json)


def _doctor(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 see above

    from agent.site import checks, doctor  # noqa: PLC0415 see above

    _quiet()
    found = asyncio.run(doctor.examine(_asked(options)))
    print(json.dumps(checks.as_json(found)) if options.json else checks.as_text(found))
    return 1 if checks.worst(found) is checks.Verdict.FAIL else 0


def _bundle(options: argparse.Namespace) -> int:
    from agent.site import bundle  # noqa: PLC0415 see above

    if options.out is None:
        raise ConfigError("support-bundle needs --out FILE: where to write it")
    _quiet()
    size = bundle.write(_asked(options), options.out, options.log)
    print(f"{options.out} ({size / 1024:.0f} KB): read it before you send it; no secret and no job is in it")
    return 0


def _quiet() -> None:
    """What the clients log of a connection that fails, the doctor says."""
    import logging  # noqa: PLC0415 see above

    from agent.logs import CLIENTS_OWN  # noqa: PLC0415 see above

    for name in CLIENTS_OWN:
        logging.getLogger(name).setLevel(logging.CRITICAL)


def _asked(options: argparse.Namespace) -> "Asked":
    from agent.site.doctor import Asked  # noqa: PLC0415 see above

    return Asked(
        env=os.environ, spool=options.spool, slots=options.slots, user=options.user, policy=options.policy
    )
