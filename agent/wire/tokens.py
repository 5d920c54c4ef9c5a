"""The agent token and the worker's suffix as text (agent-api.md 1.3). Nothing here proves anything."""

import base64
import json
from typing import Any, Final

AGENT_PREFIX: Final = "jwt_agent_"
JWT_START: Final = "_eyJ"  # every JWT starts with `{"` in base64url; a suffix may contain `_`


def bearer_of(token: str, suffix: str) -> str:
    """A minted token as it goes on the wire: with the suffix of the worker that uses it."""
    return f"{AGENT_PREFIX}{suffix}_{token.removeprefix(AGENT_PREFIX)}"


def split_bearer(bearer: str) -> tuple[str, str] | None:
    """(suffix, JWT) of a bearer, or None when it has no suffix."""
    suffix, start, rest = bearer.removeprefix(AGENT_PREFIX).partition(JWT_START)
    return (suffix, JWT_START[1:] + rest) if start else None


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
