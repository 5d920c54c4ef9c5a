"""Agent tokens: minted by a superadmin, verified on every request of an agent (agent-api.md section 1)."""

import re
import secrets
from typing import Final

import structlog
from msgspec import UNSET

from agent.clock import Clock
from agent.wire.claims import Claims, Tag, WorkerName
from agent.wire.tokens import AGENT_PREFIX, bare, split_bearer, token_id
from bridge.errors import BadRequest
from bridge.tokens.model import AgentClaims, NewAgentToken, NextAgentToken
from bridge.tokens.reserved import warning_of
from bridge.tokens.signing import BadToken, Remembered, Signer
from bridge.tokens.tags import checked_tag

# A worker name becomes a word in routing keys and queue names, and must be readable in both.
NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,80}")

log = structlog.get_logger()


class AgentTokens:
    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock
        self._opened: Remembered[Claims] = Remembered()

    def mint(self, asked: NewAgentToken) -> str:
        """The stored form, `jwt_agent_<jwt>`. Raises `BadRequest` that says how to mend the request."""
        if asked.exp is None:
            raise BadRequest("exp is missing; give the second since the epoch (UTC) at which the token ends")
        if asked.exp <= self._clock.wall_s():
            raise BadRequest(
                f"exp {asked.exp} is in the past; give a later second since the epoch (not milliseconds)"
            )
        if not asked.tags:
            raise BadRequest("tags is empty, so the agent would never get a job; name at least one tag")
        for tag in asked.tags:
            checked_tag(tag)
        for field, name in (("worker_group", asked.worker_group), ("suffix", asked.suffix)):
            if name is not None and not NAME.fullmatch(name):
                raise BadRequest(f"{field} must be 1 to 80 of the characters A-Z a-z 0-9 . _ -, not {name!r}")
        if warning := warning_of(asked.tags):
            log.warning("token.reserved_tags", worker_group=asked.worker_group, warning=warning)
        claims = AgentClaims(
            worker_group=asked.worker_group,
            suffix=asked.suffix,
            tags=asked.tags,
            exp=asked.exp,
            jti=secrets.token_hex(8),
            shared=True if asked.shared else UNSET,
        )
        return AGENT_PREFIX + self._signer.sign(claims)

    def mint_next(self, asked: NextAgentToken) -> str:
        """Another token for the same worker, so that what it holds stays with it. Raises `BadRequest`."""
        try:
            before = self._signer.open(bare(asked.token), AgentClaims)
        except BadToken as error:
            raise BadRequest(f"token is no agent token of this cluster: {error}") from None
        return self.mint(
            NewAgentToken(
                worker_group=before.worker_group,
                suffix=before.suffix,
                tags=before.tags if asked.tags is None else asked.tags,
                exp=asked.exp,
                shared=before.shared is True,
            )
        )

    def verify(self, bearer: str) -> Claims | None:
        """`bearer` is `jwt_agent_<suffix>_<jwt>`. None: it proves nothing. `exp` is checked every time."""
        claims = self.genuine(bearer)
        if claims is not None and claims.expires_s <= self._clock.wall_s():
            log.warning("token.refused", kind="agent", reason="expired", worker=claims.worker)
            return None
        return claims

    def genuine(self, bearer: str) -> Claims | None:
        """What a token says that was minted here, whether it still holds or not; None: it was not."""
        claims = self._opened.get(bearer)
        if claims is None:
            try:
                claims = self._open(bearer)
            except BadToken as error:
                log.warning("token.refused", kind="agent", reason=str(error))
                return None
            self._opened.put(bearer, claims)
        return claims

    def _open(self, bearer: str) -> Claims:
        if not bearer.startswith(AGENT_PREFIX):
            raise BadToken("not an agent token")
        parts = split_bearer(bearer)
        if parts is None:
            raise BadToken("the suffix is missing: an agent sends jwt_agent_<suffix>_<jwt>")
        suffix, token = parts
        if not NAME.fullmatch(suffix):
            raise BadToken("the suffix is not a name")
        claims = self._signer.open(token, AgentClaims)
        if claims.suffix is not None and claims.suffix != suffix:
            raise BadToken("the token belongs to another suffix")
        return Claims(
            worker=WorkerName(f"ag-{claims.worker_group}-{suffix}"),
            worker_group=claims.worker_group,
            tags=frozenset(map(Tag, claims.tags)),
            expires_s=claims.exp,
            token_id=token_id(bearer),
            shared=claims.shared is True,
        )
