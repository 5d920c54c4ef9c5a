"""`python -m agent --spool DIR` runs the agent; with status, doctor or support-bundle it looks at one.

Installed, the same is called `orvanta-agent`.
"""

import argparse
import os
import sys
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from agent.errors import AgentError, ConfigError, ToolRefused
from agent.release import ShowVersion, called_as

if TYPE_CHECKING:
    from agent.config import Settings

# What runs an agent is imported by `_run` alone: whoever asks for its status asks often, on a small device.

USAGE_ERROR = 2
LOOKS = ("status", "doctor", "support-bundle")


def main(argv: Sequence[str]) -> int:
    try:
        if argv[:1] == ["spool"]:
            return _use_tools(argv[1:])
        options = _parser().parse_args(argv)
        if options.command == "run":
            return _run(options)
        from agent.site import command  # noqa: PLC0415 see above

        return command.run(options)
    except (ConfigError, ToolRefused) as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except AgentError as error:
        print(error, file=sys.stderr)
        return 1


def entry() -> NoReturn:
    """The console script `orvanta-agent`."""
    sys.exit(main(sys.argv[1:]))


def _use_tools(argv: Sequence[str]) -> int:
    from agent import config  # noqa: PLC0415 see above
    from agent.spool.tools import command  # noqa: PLC0415 see above

    return command.run(argv, print, lambda spool: config.seal(os.environ, spool), config.seal_by)


def _run(options: argparse.Namespace) -> int:
    import asyncio  # noqa: PLC0415 see above

    from agent import app, config, hardening, logs  # noqa: PLC0415 see above

    settings = config.read(
        os.environ,
        options.spool,
        options.slots,
        options.ahead,
        user=options.user,
        policy=options.policy,
        warm=options.warm,
        status_port=options.status_port,
        prefetch=options.prefetch,
    )
    logs.configure("text" if sys.stderr.isatty() else "json")
    if sys.version_info < (3, 12):
        asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())
    asyncio.run(_beside_page(settings, app.serve(settings, hardening.shut())))
    return 0


async def _beside_page(settings: "Settings", serving: Coroutine[Any, Any, None]) -> None:
    if settings.status_port is None:
        await serving
        return
    from agent.site.page import served  # noqa: PLC0415 most agents show no page

    async with served(settings.spool, settings.status_port):
        await serving


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=called_as("orvanta-agent", "agent"),
        description="Takes custody of jobs, runs them with or without a link, and keeps their results.",
        epilog="Settings: MODE=agent AGENT_TOKEN BASE_INTERNAL_URL; "
        "BASH_PATH, PYTHON_PATH, NODE_BIN, BUN_PATH, DENO_PATH and POWERSHELL_PATH choose interpreters, "
        "LANGUAGES_FILE declares more languages; "
        "SPOOL_QUOTA_MB, SPOOL_FLOOR_MB and SPOOL_LOG_MB bound the spool, "
        "BUNDLES_MB what is kept of what jobs import; SPOOL_KEY_FILE holds the spool's key. "
        "AGENT_TOKEN_FILE stands for AGENT_TOKEN. JOB_CGROUP: below it each job gets a control group. "
        "CA_FILE, CLIENT_CERT_FILE and CLIENT_KEY_FILE are for TLS, HTTPS_PROXY and NO_PROXY for a proxy. "
        "`python -m agent spool --help` tells of the spool's tools.",
    )
    parser.add_argument("command", nargs="?", choices=["run", *LOOKS], default="run")
    parser.add_argument("--version", action=ShowVersion)
    parser.add_argument("--spool", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--slots", type=int, metavar="N", help="jobs run at once (default 1)")
    parser.add_argument(
        "--ahead", type=int, metavar="N", help="unstarted jobs to hold per tag (default auto)"
    )
    parser.add_argument("--user", metavar="NAME", help="run jobs as this account; the agent must be root")
    parser.add_argument(
        "--warm",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="fork python3 jobs from an interpreter that runs already (default: yes)",
    )
    parser.add_argument("--policy", type=Path, metavar="FILE", help="what this site may run")
    parser.add_argument(
        "--status-port", type=int, metavar="N", help="show the status at http://127.0.0.1:N/ while it runs"
    )
    parser.add_argument(
        "--prefetch", action="store_true", help="fetch what scripts of this agent's tags import ahead of need"
    )
    look = parser.add_argument_group("status, doctor and support-bundle")
    look.add_argument("--json", action="store_true", help="status, doctor: for machines")
    look.add_argument("--watch", action="store_true", help="status: live, until Ctrl-C")
    look.add_argument("--out", type=Path, metavar="FILE", help="support-bundle: where to write it")
    look.add_argument("--log", type=Path, metavar="FILE", help="support-bundle: the agent's log (journal)")
    return parser


if __name__ == "__main__":
    entry()
