"""The command line of `python -m agent spool`."""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

from agent.errors import ToolRefused
from agent.release import called_as
from agent.spool.sealing import Seal
from agent.spool.tools.change import Purge, purge, requeue
from agent.spool.tools.export import export
from agent.spool.tools.listing import Say, ls
from agent.spool.tools.seal import rekey, seal_all
from agent.spool.tools.verify import verify


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise ToolRefused(f"{message}; `{self.prog} --help` shows what there is.")


def run(
    argv: Sequence[str],
    say: Say,
    seal_of: Callable[[Path], Seal],
    seal_by: Callable[[Path, Path, str], Seal],
) -> int:
    """The exit code. Raises `ToolRefused` for what cannot be done as it was asked.

    `seal_of`: by the key that the settings name for the spool there. `seal_by`: by the key in a file, for the
    spool there, as the option names it.
    """
    options = _parser().parse_args(argv)
    seal = seal_of(options.spool)
    match options.tool:
        case "ls":
            code = ls(options.spool, say, state=options.state, as_json=options.json)
        case "verify":
            code = verify(options.spool, say, seal, as_json=options.json)
        case "export":
            code = export(options.spool, say, seal, to=options.to, with_secrets=options.with_secrets)
        case "requeue":
            code = requeue(options.spool, say, seal, jobs=options.jobs, everything=options.all)
        case "purge":
            code = purge(options.spool, say, _to_purge(options))
        case "rekey":
            code = rekey(options.spool, say, seal, seal_by(options.new_key, options.spool, "--new-key"))
        case _:
            code = seal_all(options.spool, say, seal)
    return code


def _to_purge(options: argparse.Namespace) -> Purge:
    return Purge(
        quarantine=options.quarantine,
        set_aside=options.set_aside,
        seen=options.seen,
        older_than_days=options.older_than,
        jobs=options.job,
        force=options.force,
    )


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog=f"{called_as('orvanta-agent', 'agent')} spool", description="Look at a spool, carry it, mend it."
    )
    tools = parser.add_subparsers(
        dest="tool", required=True, metavar="ls|verify|export|requeue|purge|seal|rekey"
    )
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
    change = tools.add_parser(
        "rekey", parents=[where], help="another key seals all of it; the agent must be stopped"
    )
    change.add_argument(
        "--new-key", type=Path, required=True, metavar="FILE", help="SPOOL_KEY_FILE holds the present one"
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
