"""JSON web tokens, HS256 by the instance's own secret: signed, opened, and remembered once opened."""

from typing import Any, Final, Generic, TypeVar

import jwt
import msgspec
from jwt.types import Options

from agent.logs import Secret

ALGORITHM: Final = "HS256"
REMEMBERED_MAX: Final = (
    20_000  # more than the agents of a bridge: else each of their requests is verified anew
)

T = TypeVar("T")


class BadToken(Exception):
    """The reason goes to our log; the caller learns only that it is not authorized."""


class Signer:
    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def sign(self, claims: msgspec.Struct) -> str:
        payload: dict[str, Any] = msgspec.to_builtins(claims)
        return jwt.encode(payload, self._secret.reveal(), ALGORITHM)

    def open(self, token: str, kind: type[T]) -> T:
        """The claims of a well-signed token. `exp` must be there; the caller compares it with its clock.

        Raises `BadToken`.
        """
        checks: Options = {"require": ["exp"], "verify_exp": False}
        try:
            payload = jwt.decode(token, self._secret.reveal(), [ALGORITHM], checks)
            return msgspec.convert(payload, kind)
        except (jwt.InvalidTokenError, msgspec.ValidationError) as error:
            raise BadToken(str(error)) from error


class Remembered(Generic[T]):
    """What costly checks of tokens proved; the oldest goes at the bound (I6). The caller checks `exp`."""

    def __init__(self) -> None:
        self._proofs: dict[str, T] = {}

    def get(self, token: str) -> T | None:
        return self._proofs.get(token)

    def put(self, token: str, proof: T) -> None:
        if len(self._proofs) >= REMEMBERED_MAX:
            del self._proofs[next(iter(self._proofs))]
        self._proofs[token] = proof

    def forget(self, token: str) -> None:
        self._proofs.pop(token, None)
