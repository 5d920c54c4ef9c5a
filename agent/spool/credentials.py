"""What this device is trusted by and trusts, in files of their own beside `identity` (mode 0600).

A destroyed database, set aside whole, must neither change the device nor make it trust a stranger's keys.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import structlog

from agent.errors import SpoolUnusable
from agent.logs import Secret
from agent.spool.blobs import write_durably
from agent.spool.folder import why_unusable
from agent.trust import SigningKey

log = structlog.get_logger()

DEVICE_KEY: Final = "device.key"
TOKEN: Final = "token"  # noqa: S105 the name of a file
BRIDGE_KEYS: Final = "bridge.keys"
PRIVATE: Final = 0o600


@dataclass(frozen=True, slots=True)
class Pinned:
    """The keys of the bridge at one address: key id → 32 raw bytes, base64."""

    base_url: str
    keys: Mapping[str, str]


class Credentials:
    """Read once at the start, from the folder of a spool that this agent holds. Raises `SpoolUnusable`."""

    def __init__(self, folder: Path, given: Secret, *, is_new: bool) -> None:
        """`given`: the token of the settings. `is_new`: nobody knows this spool yet: it has lost no key."""
        self._folder = folder
        self._given = given
        self.device = self._device_key(is_new=is_new)
        self.token = self._newest_token()

    @property
    def keys_file(self) -> Path:
        return self._folder / BRIDGE_KEYS

    def succeed(self, token: str) -> None:
        """From now on this one, also after a restart, until the settings bring another than they do now."""
        self._keep(TOKEN, json.dumps({"instead_of": _hash_of(self._given), "token": token}))
        self.token = Secret(token)

    def pinned(self, base_url: str) -> Mapping[str, str]:
        """The keys that the bridge at this address has; empty while none is known."""
        known = self._read(BRIDGE_KEYS)
        keys = known.get("keys")
        return keys if known.get("base_url") == base_url and isinstance(keys, dict) else {}

    def pin(self, base_url: str, keys: Mapping[str, str]) -> None:
        self._keep(BRIDGE_KEYS, json.dumps({"base_url": base_url, "keys": dict(keys)}))

    def _device_key(self, *, is_new: bool) -> SigningKey:
        file = self._folder / DEVICE_KEY
        try:
            return SigningKey(bytes.fromhex(file.read_text().strip()))
        except FileNotFoundError:
            reason = "it is gone"
        except ValueError:
            reason = "it is damaged"
        except OSError as error:
            raise SpoolUnusable(why_unusable(self._folder, error)) from error
        made = SigningKey.made()
        self._keep(DEVICE_KEY, f"{made.raw.hex()}\n")
        if not is_new:
            log.warning(
                "device.key_lost", reason=reason, device=made.kid,
                mend="the bridge takes this spool for another device until an admin approves the new key",
            )  # fmt: skip
        return made

    def _newest_token(self) -> Secret:
        known = self._read(TOKEN)
        token = known.get("token")
        is_successor = known.get("instead_of") == _hash_of(self._given) and isinstance(token, str)
        return Secret(str(token)) if is_successor else self._given

    def _read(self, name: str) -> dict[str, object]:
        """What cannot be read is as good as not there: the bridge tells it again."""
        try:
            known = json.loads((self._folder / name).read_text())
        except (OSError, ValueError):
            return {}
        return known if isinstance(known, dict) else {}

    def _keep(self, name: str, text: str) -> None:
        try:
            write_durably(self._folder / name, text.encode(), PRIVATE)
        except OSError as error:
            raise SpoolUnusable(why_unusable(self._folder, error)) from error


def _hash_of(token: Secret) -> str:
    return hashlib.sha256(token.reveal().encode()).hexdigest()
