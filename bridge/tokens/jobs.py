"""Job tokens: what a running job may use to call back."""

from typing import Final

import structlog

from agent.clock import Clock
from bridge.tokens.model import JOB_PREFIX, OWN_JOB, Identity, JobClaims
from bridge.tokens.signing import BadToken, Remembered, Signer

JOB_TOKEN_LIFE_S: Final = 7 * 24 * 3600 + 3600  # the longest job, and an hour of slack (agent-api.md 1.6)

log = structlog.get_logger()


class JobTokens:
    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock
        self._opened: Remembered[JobClaims] = Remembered()

    def mint(self, *, job_id: str, workspace: str, created_by: str, email: str, own_job_only: bool) -> str:
        """A token that reaches its workspace, or its own job alone; never a superadmin's (DESIGN 5)."""
        claims = JobClaims(
            email=email,
            username=created_by,
            workspace_id=workspace,
            workspace_ids=[workspace],
            job_id=job_id,
            label="ephemeral-script",
            exp=int(self._clock.wall_s()) + JOB_TOKEN_LIFE_S,
            scopes=[OWN_JOB] if own_job_only else None,
        )
        return JOB_PREFIX + self._signer.sign(claims)

    def verify(self, bearer: str) -> Identity | None:
        claims = self._opened.get(bearer)
        if claims is None:
            try:
                claims = self._signer.open(bearer.removeprefix(JOB_PREFIX), JobClaims)
            except BadToken as error:
                log.warning("token.refused", kind="job", reason=str(error))
                return None
            self._opened.put(bearer, claims)
        if claims.exp <= self._clock.wall_s():
            log.warning("token.refused", kind="job", reason="expired", job_id=claims.job_id)
            return None
        return Identity(
            email=claims.email,
            username=claims.username,
            superadmin=False,
            workspace=claims.workspace_id,
            job_id=claims.job_id if OWN_JOB in (claims.scopes or ()) else None,
        )
