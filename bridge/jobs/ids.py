"""Job ids: ULIDs in UUID form, so that they sort by the time they were made."""

import hashlib
import secrets
from typing import Final
from uuid import UUID

from bridge.errors import BadRequest

RANDOM_BITS: Final = 80
HASH_DIGITS: Final = 16


def new_job_id(now_s: float) -> str:
    return str(UUID(int=int(now_s * 1000) << RANDOM_BITS | secrets.randbits(RANDOM_BITS)))


def checked_job_id(text: str) -> str:
    """A caller's own id in its one spelling. Raises `BadRequest`."""
    try:
        return str(UUID(text))
    except ValueError:
        raise BadRequest(f"job_id must be a UUID, not {text[:60]!r}") from None


def script_hash(*parts: str | None) -> str:
    """The 16 hexadecimal digits that name a version of a script."""
    digest = hashlib.sha256()
    for part in parts:
        text = b"\0" if part is None else b"\1" + part.encode()
        digest.update(len(text).to_bytes(8) + text)
    return digest.hexdigest()[:HASH_DIGITS]
