"""The command line of `python -m agent spool`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from agent.errors import ToolRefused
from agent.spool.sealing import Seal
from agent.spool.tools.change import Purge, purge, requeue
from agent.spool.tools.export import export
from agent.spool.tools.listing import Say, ls
from agent.spool.tools.seal import seal_all
from agent.spool.tools.verify import verify


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ToolRefused(f"{message}; `{self.prog} --help` shows what there is.")


def run(argv: Sequence[str], say: Say, seal_of: Callable[[Path], Seal]) -> int:
    """The exit code. Raises `ToolRefused` for what cannot be done as it was asked.

    `seal_of`: by the key that the settings name for the spool there.
    """
    options = _parser().parse_args(argv)
    seal = seal_of(options.spool)
    match options.tool:
        case "ls":
            return ls(options.spool, say, state=options.state, as_json=options.json)
        case "verify":
            return verify(options.spool, say, seal, as_json=options.json)
        case "export":
            return export(options.spool, say, seal, to=options.to, with_secrets=options.with_secrets)
        case "requeue":
            return requeue(options.spool, say, seal, jobs=options.jobs, everything=options.all)
        case "seal":
            return seal_all(options.spool, say, seal)
    what = Purge(
        quarantine=options.quarantine,
        set_aside=options.set_aside,
        seen=options.seen,
        older_than_days=options.older_than,
        jobs=options.job,
        force=options.force,
    )
    return purge(options.spool, say, what)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(prog="python -m agent spool", description="Look at a spool, carry it, mend it.")
    tools = parser.add_subparsers(dest="tool", required=True, metavar="ls|verify|export|requeue|purge|seal")
    where = _Parser(add_help=False)
    where.add_argument("--spool", type=Path, required=True, metavar="DIR", help="where everything is kept")
    json_too = _Parser(add_help=False)
    json_too.add_argument("--json", action="store_true", help="for machines")

    listing = tools.add_parser("ls", parents=[where, json_too], help="what is held; also beside the agent")
    listing.add_argument("--state", metavar="S", help="only these: ready, started, finished, quarantine …")
    tools.add_parser(
        "verify", parents=[where, json_too], help="check all of it; exit code 1 when some of it is damaged"
    )
    carry = tools.add_parser("export", parents=[where], help="results and quarantine as files")
    carry.add_argument("--to", type=Path, required=True, metavar="DIR", help="a new folder")
    carry.add_argument(
        "--with-secrets", action="store_true", help="quarantined jobs byte for byte, with their tokens"
    )
    tools.add_parser(
        "seal", parents=[where], help="seal what was kept before there was a key; the agent must be stopped"
    )
    again = tools.add_parser("requeue", parents=[where], help="send or try again; the agent must be stopped")
    again.add_argument("jobs", nargs="*", metavar="JOB_ID")
    again.add_argument("--all", action="store_true", help="all that is finished, sent or in quarantine")
    _add_purge(tools.add_parser("purge", parents=[where], help="remove; the agent must be stopped"))
    return parser


def _add_purge(remove: argparse.ArgumentParser) -> None:
    remove.add_argument("--quarantine", action="store_true", help="damaged rows that the bridge knows of")
    remove.add_argument("--set-aside", action="store_true", help="the folders spool.damaged-*")
    remove.add_argument("--seen", action="store_true", help="the memory of what was here")
    remove.add_argument("--older-than", type=int, metavar="DAYS", help="with --seen: only what is older")
    remove.add_argument("--job", action="append", default=[], metavar="JOB_ID", help="all that is held of it")
    remove.add_argument("--force", action="store_true", help="also what has not been sent or reported")
