"""What this device is trusted by and trusts, in files of their own beside `identity` (mode 0600, and sealed).

A destroyed database, set aside whole, must neither change the device nor make it trust a stranger's keys.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

import structlog

from agent.errors import SpoolUnusable
from agent.logs import Secret, hide
from agent.spool.blobs import TEMP, erase, replace_durably, write_durably
from agent.spool.refusal import unusable
from agent.spool.sealing import Seal
from agent.trust import SigningKey
from agent.wire.tokens import AGENT_PREFIX

log = structlog.get_logger()

DEVICE_KEY: Final = "device.key"
TOKEN: Final = "token"  # noqa: S105 the name of a file
BRIDGE_KEYS: Final = "bridge.keys"
FILES: Final = (DEVICE_KEY, TOKEN, BRIDGE_KEYS)
PLACE: Final = "credential"
PRIVATE: Final = 0o600


def seal_credentials(folder: Path, seal: Seal) -> int:
    """What of them is in the clear, or sealed by an older key, is sealed anew. How many were. Raises OSError.

    Cut off at any point it leaves each of them whole, and the next call goes on.
    """
    return sum(_seal_file(folder / name, seal) for name in FILES)


def _seal_file(file: Path, seal: Seal) -> bool:
    cut_off = file.with_name(file.name + TEMP)  # a writing that a crash ended
    if seal.key_id and cut_off.is_file():
        erase(cut_off)
    kept = _kept(file)
    opened = seal.open(kept, PLACE, file.name)
    if not kept or not seal.is_due(kept) or opened is None:
        return False
    replace_durably(file, seal.close(opened, PLACE, file.name), PRIVATE)
    return True


def looked_at(folder: Path, given: Secret, seal: Seal) -> tuple[SigningKey | None, Secret]:
    """The device's key, and the token that is used now, for whoever must change nothing beside an agent.

    `given`: the token of the settings. None: no key can be read.
    """
    try:
        text = _text(folder, DEVICE_KEY, seal)
        device = None if text is None else SigningKey(bytes.fromhex(text.strip()))
    except (OSError, ValueError):
        device = None
    return device, _newest(_read(folder, TOKEN, seal), given)


def _text(folder: Path, name: str, seal: Seal) -> str | None:
    """None: there is no such file. Raises OSError, and ValueError when it is damaged."""
    try:
        kept = (folder / name).read_bytes()
    except FileNotFoundError:
        return None
    opened = seal.open(kept, PLACE, name)
    if opened is None:
        raise ValueError(f"{name} was changed since it was sealed")
    return opened.decode()


def _read(folder: Path, name: str, seal: Seal) -> dict[str, object]:
    """What cannot be read is as good as not there: the bridge tells it again."""
    try:
        known = json.loads(_text(folder, name, seal) or "")
    except (OSError, ValueError):
        return {}
    return known if isinstance(known, dict) else {}


def _newest(known: Mapping[str, object], given: Secret) -> Secret:
    token = known.get("token")
    is_successor = known.get("instead_of") == _hash_of(given) and isinstance(token, str)
    return _hidden(str(token)) if is_successor else given


def _kept(file: Path) -> bytes:
    return file.read_bytes() if file.exists() else b""


def _require_keys_of_all(folder: Path, seal: Seal) -> None:
    for name in FILES:
        if not seal.has_key_of(_kept(folder / name)):
            raise SpoolUnusable(
                f"{folder / name} is sealed with a key that this spool does not have; put back the one that "
                "was here, or remove it to begin with a new one. Nothing was changed."
            )


@dataclass(frozen=True, slots=True)
class Pinned:
    """What is known of the bridge at one address."""

    keys: Mapping[str, str] = field(default_factory=dict)  # key id → 32 raw bytes, base64
    signs_control: bool = False  # it signs what it tells, so that nothing less is ever believed


class Credentials:
    """Read once at the start, from the folder of a spool that this agent holds. Raises `SpoolUnusable`."""

    def __init__(self, folder: Path, given: Secret, seal: Seal | None = None, *, is_new: bool) -> None:
        """`given`: the token of the settings. `seal`: the spool's; what was kept before it is sealed now.

        `is_new`: nobody knows this spool yet: it has lost no key.
        """
        self._folder = folder
        self._given = given
        self._seal = seal or Seal()
        with unusable(folder):
            _require_keys_of_all(folder, self._seal)
            seal_credentials(folder, self._seal)
        self.device = self._device_key(is_new=is_new)
        self.token = self._before = _newest(_read(folder, TOKEN, self._seal), given)

    @property
    def keys_file(self) -> Path:
        return self._folder / BRIDGE_KEYS

    def tokens(self) -> tuple[str, ...]:
        """What no job may show: those of the settings, of now and of just before, as they go on the wire."""
        ours = (self._given, self._before, self.token)
        return tuple(one.reveal().removeprefix(AGENT_PREFIX) for one in ours)

    def succeed(self, token: str) -> None:
        """From now on this one, also after a restart, until the settings bring another than they do now."""
        self._keep(TOKEN, json.dumps({"instead_of": _hash_of(self._given), "token": token}))
        self._before, self.token = self.token, _hidden(token)

    def pinned(self, base_url: str) -> Pinned:
        """What the bridge at this address is known by; no keys while it is not."""
        known = _read(self._folder, BRIDGE_KEYS, self._seal)
        keys = known.get("keys")
        if known.get("base_url") != base_url or not isinstance(keys, dict):
            return Pinned()
        return Pinned(keys, known.get("signs_control") is True)

    def pin(self, base_url: str, pinned: Pinned) -> None:
        self._keep(BRIDGE_KEYS, json.dumps({"base_url": base_url} | asdict(pinned)))

    def _device_key(self, *, is_new: bool) -> SigningKey:
        try:
            with unusable(self._folder):
                text = _text(self._folder, DEVICE_KEY, self._seal)
            if text is not None:
                return SigningKey(bytes.fromhex(text.strip()))
            reason = "it is gone"
        except ValueError:
            reason = "it is damaged"
        made = SigningKey.made()
        self._keep(DEVICE_KEY, f"{made.raw.hex()}\n")
        if not is_new:
            log.warning(
                "device.key_lost", reason=reason, device=made.kid,
                mend="the bridge takes this spool for another device until an admin approves the new key",
            )  # fmt: skip
        return made

    def _keep(self, name: str, text: str) -> None:
        with unusable(self._folder):
            write_durably(self._folder / name, self._seal.close(text.encode(), PLACE, name), PRIVATE)


def _hidden(token: str) -> Secret:
    hide(token.removeprefix(AGENT_PREFIX))  # as it goes on the wire, whatever stands before it
    return Secret(token)


def _hash_of(token: Secret) -> str:
    return hashlib.sha256(token.reveal().encode()).hexdigest()
