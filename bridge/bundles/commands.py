"""A tool that fetches: its output, and nothing of it left."""

import asyncio
import os
import re
import signal
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Final

from bridge.bundles.errors import IndexDown

FETCH_S: Final = 1800.0
PASSED_ON: Final = (
    "PATH", "HOME", "TMPDIR", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR", "REQUESTS_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY",
)  # fmt: skip
PASSWORD: Final = re.compile(r"(://)[^/\s@]+@")
TOOLS: Final = ("PIP_", "UV_", "NPM_CONFIG_")


def environment_of(env: Mapping[str, str]) -> dict[str, str]:
    """What the tools need of ours: their own settings and the way out, and none of our secrets."""
    return {
        name: text
        for name, text in env.items()
        if name.upper() in PASSED_ON or name.upper().startswith(TOOLS)
    }


def without_passwords(text: str) -> str:
    """As it may be shown: the address of an index may have a user and a password in it."""
    return PASSWORD.sub(r"\1***@", text)


async def run(
    command: Sequence[str], env: Mapping[str, str], folder: Path, most_s: float = FETCH_S
) -> tuple[int, str, str]:
    """Its exit code, output and errors. On return, and on cancellation, no process of it runs.

    Raises `IndexDown` when it takes too long, OSError when it cannot be started.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        env=env,
        cwd=folder,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,
    )
    try:
        async with asyncio.timeout(most_s):
            said, errors = await process.communicate()
    except TimeoutError:
        raise IndexDown(f"not all of it came within {most_s:.0f} s") from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return process.returncode or 0, said.decode(errors="replace"), errors.decode(errors="replace")
