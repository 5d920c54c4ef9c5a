"""The agent token and the worker's suffix as text (agent-api.md 1.3). Nothing here proves anything."""

import base64
import hashlib
import json
from typing import Any, Final

from agent.wire.claims import TokenId, WorkerName

AGENT_PREFIX: Final = "jwt_agent_"
ID_CHARS: Final = 16  # 64 bits: nobody but the cluster can choose the text that is hashed
TICKET: Final = "~"  # between a bearer and its ticket; neither contains one
JWT_START: Final = "_eyJ"  # every JWT starts with `{"` in base64url; a suffix may contain `_`


def bearer_of(token: str, suffix: str) -> str:
    """A minted token as it goes on the wire: with the suffix of the worker that uses it."""
    return f"{AGENT_PREFIX}{suffix}_{token.removeprefix(AGENT_PREFIX)}"


def with_ticket(bearer: str, ticket: str) -> str:
    """What a device sends that has proved itself at enrolment: its token alone is refused."""
    return f"{bearer}{TICKET}{ticket}" if ticket else bearer


def split_ticket(bearer: str) -> tuple[str, str]:
    """(bearer, ticket); the ticket is empty when there is none."""
    plain, _, ticket = bearer.partition(TICKET)
    return plain, ticket


def bare(token: str) -> str:
    """The JWT of a token in any spelling: as minted, or as an agent sends it with its suffix and a ticket."""
    plain = split_ticket(token)[0]
    parts = split_bearer(plain)
    return plain.removeprefix(AGENT_PREFIX) if parts is None else parts[1]


def token_id(token: str) -> TokenId:
    """Of a token in any spelling.

    Made of what is signed: the signature itself can be written in several ways that all verify.
    """
    jwt = bare(token)
    signed = jwt.rpartition(".")[0] or jwt
    return TokenId(hashlib.sha256(signed.encode()).hexdigest()[:ID_CHARS])


def split_bearer(bearer: str) -> tuple[str, str] | None:
    """(suffix, JWT) of a bearer, or None when it has no suffix."""
    suffix, start, rest = bearer.removeprefix(AGENT_PREFIX).partition(JWT_START)
    return (suffix, JWT_START[1:] + rest) if start else None


def broker_login(worker: WorkerName, token: TokenId) -> str:
    """The name under which an agent logs in at the broker, and which the broker puts on what it sends.

    With the token in it, what a name may do never changes: two tokens of one worker are two names.
    """
    return f"{worker}@{token}"


def split_login(login: str) -> tuple[WorkerName, TokenId]:
    """Both are empty when it is no name of an agent."""
    worker, at, token = login.rpartition("@")
    return (WorkerName(worker), TokenId(token)) if at else (WorkerName(""), TokenId(""))


def said_by(jwt: str) -> dict[str, Any]:
    """The claims of a JWT, unverified. Raises ValueError, IndexError when it is not one."""
    payload = jwt.removeprefix(AGENT_PREFIX).split(".")[1]
    try:
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
    except RecursionError:
        raise ValueError("the claims are nested too deeply") from None
    if not isinstance(claims, dict):
        raise ValueError("the claims are no JSON object")  # noqa: TRY004 the text is wrong, not its type
    return claims


def instance_of(hostname: str) -> str:
    """The part of a worker name that stands for the machine; empty when nothing is left of it."""
    return hostname.replace(" ", "").replace("_", "").split("-")[-1].lower()
