"""What the bridge shows to whom it serves over HTTPS."""

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.tls.outbound import BadTls, load_pair

CERT: Final = "TLS_CERT_FILE"
KEY: Final = "TLS_KEY_FILE"


@dataclass(frozen=True, slots=True)
class Pair:
    """PEM files that belong together: the certificate, with its chain below it, and the key."""

    cert: Path
    key: Path


def read(env: Mapping[str, str]) -> Pair | None:
    """None: plain HTTP. Raises `BadTls`, which names the setting and the mend."""
    cert, key = (env.get(name, "").strip() for name in (CERT, KEY))
    if not cert and not key:
        return None
    if not cert or not key:
        raise BadTls(f"{KEY if cert else CERT} is missing; a certificate and its key go together")
    pair = Pair(Path(cert), Path(key))
    load_pair(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH), (CERT, pair.cert), (KEY, pair.key))
    return pair
