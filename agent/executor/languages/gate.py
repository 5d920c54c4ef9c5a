"""The gate of programs that cannot wait by themselves: a shell waits, limits itself, and becomes them."""

import shutil
from collections.abc import Sequence
from typing import Final

from agent.executor.directory import JobDirectory
from agent.executor.languages.language import missing

SHELL: Final = "/bin/sh"
NAME: Final = "gate.sh"
# See `Language.prepare`. Debian's sh calls the number of processes -p.
_WAIT: Final = """\
IFS= read -r words || exit 1
for word in $words; do
  case $word in
    -u=*) (ulimit -u "${word#*=}") 2>/dev/null && ulimit -u "${word#*=}" || ulimit -p "${word#*=}" ;;
    *) ulimit "${word%=*}" "${word#*=}" ;;
  esac || exit 1
done
unset words word
"""
_BECOME: Final = 'exec "$@" < '


def program(path: str | None, name: str, setting: str) -> str:
    """`path`, or a failed job that says how to mend it: the shell's own word would be in the log alone."""
    if path is None or not is_program(path):
        raise missing(path or name, setting)
    return path


def is_program(path: str | None) -> bool:
    return path is not None and shutil.which(path) is not None


def gated(
    directory: JobDirectory, command: Sequence[str], *, before: str = "", standard_input: str = "/dev/null"
) -> Sequence[str]:
    """The command line that runs `command` once the gate has opened. Raises OSError.

    `before`: shell text that comes between the two; `standard_input`: a file of the job's directory.
    """
    directory.write(NAME, f"{_WAIT}{before}{_BECOME}{standard_input}\n".encode())
    return [SHELL, NAME, *command]
