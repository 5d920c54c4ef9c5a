"""What of the bridge's environment a resolver gets: where packages come from, and the way there."""

import re
from collections.abc import Mapping
from typing import Final

GIVEN: Final = frozenset({
    "PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "NETRC", "SSL_CERT_FILE", "SSL_CERT_DIR",
    "NODE_EXTRA_CA_CERTS", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy",
    "https_proxy", "all_proxy", "no_proxy",
})  # fmt: skip
FAMILIES: Final = ("UV_", "PIP_", "NPM_CONFIG_", "npm_config_")
OF_PIP: Final = {  # uv has settings of its own, and looks at none of pip's
    "PIP_INDEX_URL": "UV_INDEX_URL",
    "PIP_EXTRA_INDEX_URL": "UV_EXTRA_INDEX_URL",
    "PIP_FIND_LINKS": "UV_FIND_LINKS",
    "PIP_TRUSTED_HOST": "UV_INSECURE_HOST",
    "PIP_CERT": "SSL_CERT_FILE",
}
PASSWORD: Final = re.compile(r"(://)[^/\s@]+@")


def environment_of(env: Mapping[str, str]) -> dict[str, str]:
    """Of a resolver. What is set for uv itself wins over what is set for pip."""
    given = {name: text for name, text in env.items() if name in GIVEN or name.startswith(FAMILIES)}
    for pip, uv in OF_PIP.items():
        if pip in given:
            given.setdefault(uv, given[pip])
    return {name: text for name, text in given.items() if not name.startswith("PIP_")}


def without_passwords(text: str) -> str:
    """As it may be shown: an index's address may have a user and a password in it."""
    return PASSWORD.sub(r"\1***@", text)
