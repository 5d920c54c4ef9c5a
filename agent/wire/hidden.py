"""Which values among a job's arguments are secrets that its log must not show."""

import re
from collections.abc import Iterator
from typing import Any, Final

CHARS_MAX: Final = 8 * 1024  # a larger one is no password; and each costs its length for every piece of log
SECRETS_MAX: Final = 200  # of one job
TELLING: Final = re.compile(
    r"passw|passphrase|secret|token|api_?key|private_?key|access_?key|credential|connection_?string|dsn|^pin$",
    re.IGNORECASE,
)


def secrets_of(resource: Any) -> Iterator[str]:
    """The texts of a resource that stand, at whatever depth, under a name that says so."""
    yield from _found(resource, is_secret=False)


def listed(secrets: list[str]) -> list[str]:
    """As they travel with the job: each once."""
    return [secret for secret in dict.fromkeys(secrets) if 0 < len(secret) <= CHARS_MAX][:SECRETS_MAX]


def _found(value: Any, *, is_secret: bool) -> Iterator[str]:
    if isinstance(value, str) and is_secret:
        yield value
    elif isinstance(value, list):
        for item in value:
            yield from _found(item, is_secret=is_secret)
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _found(item, is_secret=is_secret or TELLING.search(str(name)) is not None)
