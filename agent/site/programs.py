"""The program of each language: there, and able to run."""

import re
import subprocess
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Final

from agent.executor.account import Account
from agent.executor.languages.bash import Bash
from agent.executor.languages.python import Python
from agent.executor.languages.repertoire import Repertoire
from agent.executor.process import Interpreters
from agent.policy import Policy
from agent.site.checks import Check, fail, ok

ASK_S: Final = 5.0
SETTINGS: Final[Mapping[str, str]] = {"bash": Bash.setting, "python3": Python.setting}
VERSION: Final = re.compile(r"\d+\.\d+[\w.]*")


def program_checks(found: Interpreters, policy: Policy, account: Account | None) -> list[Check]:
    """Of the languages that the site runs."""
    wanted = {
        name: path
        for name, path in asdict(found).items()
        if policy.languages is None or name in policy.languages
    }
    return [_program(name, path, account) for name, path in wanted.items()]


def languages_check(repertoire: Repertoire) -> Check:
    """Those beside bash and python3; none of them has to be there."""
    missing = "; ".join(f"{name}: {why}" for name, why in repertoire.missing.items())
    return ok(
        "languages", (", ".join(repertoire.runs) or "none") + (f" (not here: {missing})" if missing else "")
    )


def _program(language: str, path: str | None, account: Account | None) -> Check:
    mend = f"install it, or set {SETTINGS[language]} to its full path"
    if path is None:
        return fail(language, f"{language} is not on this machine", mend)
    try:
        ended = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=ASK_S, check=True, errors="replace"
        )
    except subprocess.TimeoutExpired:
        return fail(language, f"{path} does not answer within {ASK_S:.0f} s", mend)
    except (OSError, subprocess.CalledProcessError) as error:
        return fail(language, f"{path} does not run: {_short(error)}", mend)
    barrier = None if account is None else account.barrier(Path(path).parent)
    if account is not None and barrier is not None:
        return fail(language, f"{account.name} cannot pass through {barrier} to {path}", mend)
    version = VERSION.search(ended.stdout + ended.stderr)
    return ok(language, f"{path} is {language} {version[0] if version else 'of an unknown version'}")


def _short(error: OSError | subprocess.CalledProcessError) -> str:
    if isinstance(error, subprocess.CalledProcessError):
        return f"exit code {error.returncode}"
    return error.strerror or str(error)
