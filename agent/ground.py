"""What the machine gives the jobs of an agent: a way to their directories, and the CAs to believe."""

from pathlib import Path
from typing import Final

import structlog

from agent import hardening
from agent.errors import ConfigError
from agent.executor.account import Account
from agent.spool.spool import Spool
from agent.tls.outbound import Outbound

log = structlog.get_logger()

TRUST_VARIABLES: Final = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
)  # of OpenSSL and httpx first


def trusted_by_jobs(outbound: Outbound, work: Path) -> dict[str, str]:
    """What a job's own programs need to believe the cluster too, beside whom they believed before."""
    path = (work / "ca.pem").absolute()  # no job's directory: their names have no dot
    try:
        bundle = outbound.bundle()
        if bundle is None:
            return {}
        path.write_bytes(bundle)
        path.chmod(0o644)  # for jobs of another user too: it is no secret
    except OSError as error:  # a full disk: what a job asks of the cluster fails, and no other job
        log.warning("ca.not_written", path=str(path), error=str(error))
        return {}
    return dict.fromkeys(TRUST_VARIABLES, str(path))


def let_in(account: Account, spool: Spool) -> None:
    """Before the first job: a way to its directory, and none back. Raises `ConfigError`."""
    hardening.no_new_privileges()
    spool.folder.let_jobs_through()
    barrier = account.barrier(spool.folder.work)
    if barrier is not None:
        raise ConfigError(
            f"--user {account.name}: this account cannot pass through {barrier} to its jobs' directories; "
            f"chmod o+x {barrier}, or choose another --spool."
        )
