"""`python -m agent --spool DIR` runs the agent; with status, doctor or support-bundle it looks at one."""

import argparse
import asyncio
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from agent import config, hardening, logs
from agent.app import serve
from agent.errors import AgentError, ConfigError, ToolRefused
from agent.spool.tools import command as tools

USAGE_ERROR = 2
LOOKS = ("status", "doctor", "support-bundle")


def main(argv: Sequence[str]) -> int:
    try:
        if argv[:1] == ["spool"]:
            return tools.run(argv[1:], print, lambda spool: config.seal(os.environ, spool), config.seal_by)
        options = _parser().parse_args(argv)
        if options.command != "run":
            from agent.site import command  # noqa: PLC0415 an agent that runs needs none of it

            return command.run(options)
        settings = config.read(
            os.environ,
            options.spool,
            options.slots,
            options.ahead,
            user=options.user,
            policy=options.policy,
            status_port=options.status_port,
        )
        logs.configure("text" if sys.stderr.isatty() else "json")
        if sys.version_info < (3, 12):
            asyncio.get_event_loop_policy().set_child_watcher(asyncio.PidfdChildWatcher())
        asyncio.run(_run(settings, hardening.shut()))
    except (ConfigError, ToolRefused) as error:
        print(error, file=sys.stderr)
        return USAGE_ERROR
    except AgentError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


async def _run(settings: config.Settings, umask: int) -> None:
    if settings.status_port is None:
        await serve(settings, umask)
        return
    from agent.site.page import served  # noqa: PLC0415 most agents show no page

    async with served(settings.spool, settings.status_port):
        await serve(settings, umask)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m agent",
        description="Takes custody of jobs, runs them with or without a link, and keeps their results.",
        epilog="Settings: MODE=agent AGENT_TOKEN BASE_INTERNAL_URL; "
        "BASH_PATH and PYTHON_PATH choose interpreters; "
        "SPOOL_QUOTA_MB, SPOOL_FLOOR_MB and SPOOL_LOG_MB bound the spool; SPOOL_KEY_FILE holds its key. "
        "AGENT_TOKEN_FILE stands for AGENT_TOKEN. "
        "CA_FILE, CLIENT_CERT_FILE and CLIENT_KEY_FILE are for TLS, HTTPS_PROXY and NO_PROXY for a proxy. "
        "`python -m agent spool --help` tells of the spool's tools.",
    )
    parser.add_argument("command", nargs="?", choices=["run", *LOOKS], default="run")
    parser.add_argument("--spool", type=Path, required=True, metavar="DIR", help="where everything is kept")
    parser.add_argument("--slots", type=int, metavar="N", help="jobs run at once (default 1)")
    parser.add_argument(
        "--ahead", type=int, metavar="N", help="unstarted jobs to hold per tag (default auto)"
    )
    parser.add_argument("--user", metavar="NAME", help="run jobs as this account; the agent must be root")
    parser.add_argument("--policy", type=Path, metavar="FILE", help="what this site may run")
    parser.add_argument(
        "--status-port", type=int, metavar="N", help="show the status at http://127.0.0.1:N/ while it runs"
    )
    look = parser.add_argument_group("status, doctor and support-bundle")
    look.add_argument("--json", action="store_true", help="status, doctor: for machines")
    look.add_argument("--watch", action="store_true", help="status: live, until Ctrl-C")
    look.add_argument("--out", type=Path, metavar="FILE", help="support-bundle: where to write it")
    look.add_argument("--log", type=Path, metavar="FILE", help="support-bundle: the agent's log (journal)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
