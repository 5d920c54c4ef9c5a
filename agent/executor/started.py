"""A job's process as it has just been started: it waits at its gate, and is ours to reap."""

import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from agent.executor.account import Account


@dataclass(frozen=True, slots=True)
class Started:
    """The leader of a session, and so of a group, of its own."""

    pid: int
    gate: IO[bytes]  # its standard input (see `Language.prepare`)
    output: IO[bytes]
    process: subprocess.Popen[bytes] | None  # None: forked by another, and adopted
    peak_is_own: bool  # its memory peak is told without that of whoever started it

    def note_end(self, code: int) -> None:
        """It has been reaped, so that nobody waits for its number any more."""
        if self.process is not None:
            self.process.returncode = code


def cold(
    argv: Sequence[str], directory: Path, env: Mapping[str, str], account: Account | None, umask: int
) -> Started:
    """Start a program, as `account` or as ourselves; `umask`: -1 for our own.

    Raises OSError when it cannot be started, ValueError for a NUL in `env`.
    """
    process = subprocess.Popen(
        argv,
        cwd=directory,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        bufsize=0,
        umask=umask,
        **as_account(account),
    )
    assert process.stdin is not None  # noqa: S101 asked for above
    assert process.stdout is not None  # noqa: S101 asked for above
    return Started(process.pid, process.stdin, process.stdout, process, peak_is_own=False)


def as_account(account: Account | None) -> dict[str, Any]:
    """Set between fork and exec by the interpreter's own C code; no group but the account's is left."""
    return {} if account is None else {"user": account.uid, "group": account.gid, "extra_groups": []}
