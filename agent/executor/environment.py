"""What a job sees of its surroundings: nothing but what is named here (agent-api.md 7.2)."""

import os
from collections.abc import Mapping
from typing import Final

from agent.executor import proc

DEFAULT_PATH: Final = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_PROXIES: Final = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY")
_TRUST: Final = ("SSL_CERT_FILE", "SSL_CERT_DIR")  # where the system's store is, if not where it usually is
PASSED_ON: Final = ("PATH", "HOME", "TZ", *_TRUST, *_PROXIES, *(name.lower() for name in _PROXIES))


def site_environment(environ: Mapping[str, str] | None = None) -> dict[str, str]:
    """The part of the agent's own environment that every job gets."""
    source = os.environ if environ is None else environ
    return {name: source[name] for name in PASSED_ON if name in source}


def job_environment(
    site: Mapping[str, str], reserved: Mapping[str, str], job_id: str, directory: str
) -> dict[str, str]:
    """All of a job's environment, with the mark by which its stray processes are known."""
    ours = {"WM_JOB_ID": job_id, proc.MARK: directory}
    return {"PATH": DEFAULT_PATH, "HOME": directory, **site, **reserved, **ours}
