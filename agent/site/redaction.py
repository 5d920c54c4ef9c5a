"""Takes out of what leaves the site whatever is known to be secret, and what looks like it."""

import re
from typing import Any, Final

from agent.logs import SHOWN, without_secrets

LOOKS_SECRET: Final = (
    re.compile(r"(?:jwt_agent_[\w.-]*?)?eyJ[\w-]+\.[\w-]+\.[\w-]*(?:~[\w.-]+)?"),  # a JWT, and its ticket
    re.compile(r"jwt_agent_[\w.~-]+"),
    re.compile(r"(?<=://)[^/\s@\"']+(?=@)"),  # user and password of an address
    re.compile(r"(?i)(?<=bearer )[\w.~+/=-]+"),
    re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?(?:-----END [A-Z ]*-----|\Z)", re.DOTALL),
)
NAMED_SECRET: Final = re.compile(
    r"""(?ix) ((?: passw(?:or)?d | secret | api[_-]?key | private[_-]?key | token | ticket )
        ["']? \s* [=:] \s* ["']? ) [^\s"',}&]+""",
)


def redacted(value: Any) -> Any:
    """The same, as JSON has it, with each of its texts redacted."""
    if isinstance(value, str):
        return redacted_text(value)
    if isinstance(value, dict):
        return {name: redacted(one) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [redacted(one) for one in value]
    return value


def redacted_text(text: str) -> str:
    text = without_secrets(text)
    for pattern in LOOKS_SECRET:
        text = pattern.sub(SHOWN, text)
    return NAMED_SECRET.sub(rf"\1{SHOWN}", text)
