"""What a device that has proved itself shows with its token, and what it is asked to sign for that.

Both are JSON web tokens by a secret of the store, so that any bridge on it knows them and none keeps them.
"""

from typing import Final, Literal

from msgspec import Struct

from agent.clock import Clock
from bridge.tokens.signing import BadToken, Signer

TICKET_S: Final = 7 * 24 * 3600.0  # a site that cannot enrol for longer logs in nowhere new
CHALLENGE_S: Final = 60.0


class _Ticket(Struct, frozen=True, kw_only=True):
    kind: Literal["ticket"] = "ticket"
    token_id: str
    worker: str
    kid: str
    exp: int


class _Challenge(Struct, frozen=True, kw_only=True):
    kind: Literal["challenge"] = "challenge"
    token_id: str
    worker: str
    kid: str
    exp: int


class Tickets:
    def __init__(self, signer: Signer, clock: Clock) -> None:
        self._signer = signer
        self._clock = clock

    def issue(self, token_id: str, worker: str, kid: str) -> str:
        """A ticket: whoever shows it with this token is this worker, on the device with this key."""
        exp = int(self._clock.wall_s() + TICKET_S)
        return self._signer.sign(_Ticket(token_id=token_id, worker=worker, kid=kid, exp=exp))

    def device_of(self, ticket: str, token_id: str, worker: str) -> str | None:
        """The id of the key that the ticket was issued for; None when it is no ticket of this worker's."""
        shown = self._its(ticket, token_id, worker)
        return shown.kid if shown is not None and shown.exp > self._clock.wall_s() else None

    def once_of(self, ticket: str, token_id: str, worker: str) -> str | None:
        """The same, of a ticket that may have ended."""
        shown = self._its(ticket, token_id, worker)
        return None if shown is None else shown.kid

    def _its(self, ticket: str, token_id: str, worker: str) -> _Ticket | None:
        try:
            shown = self._signer.open(ticket, _Ticket)
        except BadToken:
            return None
        return shown if (shown.token_id, shown.worker) == (token_id, worker) else None

    def challenge(self, token_id: str, worker: str, kid: str) -> str:
        exp = int(self._clock.wall_s() + CHALLENGE_S)
        return self._signer.sign(_Challenge(token_id=token_id, worker=worker, kid=kid, exp=exp))

    def is_ours(self, challenge: str, token_id: str, worker: str, kid: str) -> bool:
        """Whether we asked this worker's device for it, a moment ago."""
        try:
            asked = self._signer.open(challenge, _Challenge)
        except BadToken:
            return False
        is_its = (asked.token_id, asked.worker, asked.kid) == (token_id, worker, kid)
        return is_its and asked.exp > self._clock.wall_s()
