"""What this site has in its spool of who it is and whom it talks to. It only reads: the agent may run."""

import base64
import json
import sqlite3
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from agent.clock import SystemClock
from agent.errors import AgentError
from agent.link.enrol import from_json
from agent.link.link import Enrolment
from agent.logs import Secret, hide
from agent.spool.contents import Content, Contents
from agent.spool.credentials import looked_at
from agent.spool.key_note import opened
from agent.spool.sealing import Seal
from agent.spool.statements import SQL
from agent.spool.tools.opened import to_look
from agent.trust import SigningKey
from agent.wire.tokens import said_by

NOBODY: Final = "doctor-00000"  # the suffix of a site that has no spool yet
BRIDGE_TIME: Final = "bridge_time"  # see `jobs/bridge_time.py`


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    suffix: str
    device_key: str  # public, base64; one that nobody has where the spool has none yet
    token: Secret  # the newest: the bridge may have replaced that of the settings
    enrolment: Enrolment | None  # as it was answered last
    why_none: str = ""  # why there is no enrolment to be read


def known(folder: Path, given: Secret, seal: Seal) -> Known:
    """`given`: the token of the settings. `seal`: by the operator's key."""
    suffix = NOBODY
    with suppress(OSError):
        suffix = (folder / "identity").read_text(errors="replace").strip() or NOBODY
    try:
        device, token = looked_at(folder, given, opened(folder, seal))
    except AgentError:  # another key: nothing is to be read
        device, token = None, given
    if device is not None:
        hide(device.raw.hex())
    enrolment, why_none = _enrolment(folder, seal)
    public = base64.b64encode((device or SigningKey.made()).public).decode()
    return Known(suffix=suffix, device_key=public, token=token, enrolment=enrolment, why_none=why_none)


def clock_offset_s(folder: Path) -> float | None:
    """Our clock minus the bridge's, as the agent learnt it since this machine's start; None: it did not."""
    clock = SystemClock()
    with suppress(AgentError, OSError, sqlite3.Error, ValueError, TypeError, KeyError):
        told = json.loads(_meta(folder, BRIDGE_TIME, None) or "{}")
        if told["boot"] == clock.boot_id():
            return clock.wall_s() - (float(told["ahead_s"]) + clock.monotonic_s())
    return None


def claims_of(token: Secret) -> Mapping[str, Any]:
    """What a token says of itself, unverified; empty when it cannot be read."""
    try:
        return said_by(token.reveal())
    except (ValueError, IndexError):
        return {}


def _enrolment(folder: Path, seal: Seal) -> tuple[Enrolment | None, str]:
    try:
        if not (folder / "spool.db").is_file():
            return None, "the agent has not been started here yet"
        text = _meta(folder, "enrolment", seal)
        return (from_json(text), "") if text else (None, "the agent has not enrolled yet")
    except (AgentError, OSError, sqlite3.Error) as error:
        return None, str(error)


def _meta(folder: Path, key: str, seal: Seal | None) -> str | None:
    with to_look(folder, seal) as spool:
        row = spool.db.execute(SQL["get_meta"], {"key": key}).fetchone()
        return None if row is None else Contents(spool.seal).open_text(row["value"], Content.META, key)
