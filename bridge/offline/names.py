"""Which variables and resources a script names, in words that can be read without running it."""

import re
from typing import Final

VARIABLE: Final = "$var:"
RESOURCE: Final = "$res:"
CALLS: Final = {
    VARIABLE: re.compile(r"(?:get_variable|getVariable)\(\s*(?:path\s*=\s*)?[\"'`]([^\"'`\n]+)[\"'`]"),
    RESOURCE: re.compile(r"(?:get_resource|getResource)\(\s*(?:path\s*=\s*)?[\"'`]([^\"'`\n]+)[\"'`]"),
}  # of both SDKs
ADDRESSES: Final = {
    VARIABLE: re.compile(r"/variables/get_value/([\w@.+-]+(?:/[\w@.+-]+)+)"),
    RESOURCE: re.compile(r"/resources/get_value(?:_interpolated)?/([\w@.+-]+(?:/[\w@.+-]+)+)"),
}  # of whoever calls the API with curl
STATE: Final = re.compile(r"get_?state|WM_STATE_PATH", re.IGNORECASE)
NAMED_MAX: Final = 100  # of one script


def named_in(code: str) -> list[str]:
    """`$var:path` and `$res:path`, each once, in the order of the text. Pure."""
    found = {
        match.start(): kind + match[1].removeprefix(RESOURCE)
        for patterns in (CALLS, ADDRESSES)
        for kind, pattern in patterns.items()
        for match in pattern.finditer(code)
    }
    return list(dict.fromkeys(found[at] for at in sorted(found)))[:NAMED_MAX]


def asks_for_state(code: str) -> bool:
    return STATE.search(code) is not None
