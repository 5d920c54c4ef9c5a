"""`python -m agent support-bundle`: one readable file for whoever helps, with nothing in it that is secret.

Never in it: a job's code, arguments, environment, log or result; tokens, keys, passwords.
"""

import asyncio
import json
import os
import platform
import shutil
import sqlite3
import ssl
import subprocess
import time
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

from agent import release, status
from agent.errors import AgentError, ToolRefused
from agent.site import checks, doctor
from agent.site.redaction import redacted, redacted_text
from agent.spool.tools.schema import schema_of

LOG_LINES: Final = 500
LOG_BYTES: Final = 256 * 1024
JOURNAL_S: Final = 10.0
LINE_MAX: Final = 2000
SETTINGS: Final = (  # shown as they are
    "MODE", "BASE_INTERNAL_URL", "BASH_PATH", "PYTHON_PATH", "NODE_BIN", "BUN_PATH",
    "DENO_PATH", "POWERSHELL_PATH", "LANGUAGES_FILE", "SPOOL_QUOTA_MB", "SPOOL_FLOOR_MB", "SPOOL_LOG_MB",
    "AGENT_TOKEN_FILE", "SPOOL_KEY_FILE", "CREDENTIALS_DIRECTORY", "CA_FILE",
    "CLIENT_CERT_FILE", "CLIENT_KEY_FILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
    "PATH", "TZ", "LANG",
)  # fmt: skip
HIDDEN: Final = ("AGENT_TOKEN",)  # only whether they are set


def write(asked: doctor.Asked, to: Path, log: Path | None) -> int:
    """How many bytes. Raises `ToolRefused`; never writes over a file."""
    found = asyncio.run(doctor.examine(asked))  # first: it reads the settings, and so knows what is secret
    bundle = {
        "made_at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "versions": versions(),
        "settings": settings_of(asked.env),
        "options": {name: str(text) for name, text in _options(asked).items() if text is not None},
        "status": _status(asked.spool),
        "doctor": checks.as_json(found),
        "spool": _spool(asked.spool),
        "log": [redacted_text(line)[:LINE_MAX] for line in _log(asked.spool, log)],
    }
    text = json.dumps(redacted(bundle), indent=2, ensure_ascii=False).encode() + b"\n"
    try:
        with open(os.open(to, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:  # noqa: PTH123 of a descriptor
            file.write(text)
    except FileExistsError:
        raise ToolRefused(f"{to} is there already; name a new file with --out.") from None
    except OSError as error:
        raise ToolRefused(f"cannot write {to}: {error.strerror}; name another file with --out.") from error
    return len(text)


def settings_of(env: Mapping[str, str]) -> dict[str, str]:
    """Ours by name, and no other variable of the process."""
    shown = {name: _without_login(env[name]) for name in SETTINGS if env.get(name)}
    shown |= {name: _without_login(env[name.lower()]) for name in SETTINGS if env.get(name.lower())}
    return shown | {name: "(set)" if env.get(name) else "(not set)" for name in HIDDEN}


def versions() -> dict[str, str]:
    found = {
        release.PROJECT: release.version(),
        "python": platform.python_version(),
        "system": platform.platform(),
        "sqlite": sqlite3.sqlite_version,
        "openssl": ssl.OPENSSL_VERSION,
    }
    for name in _needed():
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = "(not installed)"
    return found


def _needed() -> list[str]:
    try:
        wanted = requires(release.PROJECT) or []
    except PackageNotFoundError:
        return []
    return [one.partition("==")[0] for one in wanted if "extra ==" not in one]


def _options(asked: doctor.Asked) -> dict[str, object]:
    return {"spool": asked.spool, "slots": asked.slots, "user": asked.user, "policy": asked.policy}


def _status(spool: Path) -> dict[str, Any]:
    try:
        return status.read(spool)
    except AgentError as error:
        return {"error": str(error)}


def _spool(spool: Path) -> dict[str, Any]:
    try:
        return schema_of(spool)
    except AgentError as error:
        return {"error": str(error)}


def _without_login(text: str) -> str:
    """An address without user and password; what is no address as it is."""
    parts = urlsplit(text if "://" in text else f"//{text}")
    return text.replace(f"{parts.netloc.rpartition('@')[0]}@", "***@") if "@" in parts.netloc else text


def _log(spool: Path, log: Path | None) -> list[str]:
    """The last lines of the file, or of systemd's journal of the agent that runs."""
    if log is None:
        return _journal(spool)
    try:
        with log.open("rb") as file:
            file.seek(max(0, log.stat().st_size - LOG_BYTES))
            return file.read(LOG_BYTES).decode(errors="replace").splitlines()[-LOG_LINES:]
    except OSError as error:
        raise ToolRefused(f"--log {log} cannot be read: {error.strerror}; leave it out.") from error


def _journal(spool: Path) -> list[str]:
    try:
        pid = int((spool / "lock").read_text(errors="replace").strip())
    except (OSError, ValueError):
        return []
    if shutil.which("journalctl") is None:
        return []
    command = ["journalctl", f"_PID={pid}", "--no-pager", "--quiet", "--output=cat", f"--lines={LOG_LINES}"]
    try:
        ended = subprocess.run(
            command, capture_output=True, text=True, timeout=JOURNAL_S, check=False, errors="replace"
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return ended.stdout.splitlines()
