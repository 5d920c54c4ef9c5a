"""Opens what a power cut left with the real store, and tells what of it should not be (I3)."""

import asyncio
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, fields, is_dataclass
from pathlib import Path
from typing import Any, Final

from tests.crash_states.disk import CrashState, Files
from tests.crash_states.work import Work

IN_MEMORY: Final = Path("/dev/shm")
OPEN_S: Final = 60.0
SHOWN: Final = 300  # characters of a difference


@dataclass(frozen=True, slots=True)
class Claim:
    """What holds in this moment: one of `options` is there, and the store is the one it was."""

    options: Sequence[Any]
    note: str  # empty: the first opening had not come back
    is_damaged: bool = False  # by more than the power cut: then what the store sets aside is no flaw


async def flaws_of(work: Work[Any, Any], state: CrashState, claim: Claim, folder: Path) -> list[str]:
    """Lays the files out, opens them as the product does, and compares. Empty: nothing is wrong."""
    lay_out(state.files, folder)
    try:
        return await flaws_in(work, claim, folder)
    finally:
        shutil.rmtree(folder)


async def flaws_in(work: Work[Any, Any], claim: Claim, folder: Path) -> list[str]:
    """The same for a folder that a real disk gave back."""
    try:
        async with asyncio.timeout(OPEN_S), work.opened(folder) as store:
            found = [] if claim.is_damaged else await work.flaws(store)
            if claim.note and work.note(store) != claim.note:
                found.append(f"it was {claim.note} and is {work.note(store)}")
            kept = await work.kept(store)
    except Exception as error:  # noqa: BLE001 whatever an opening raises is the finding
        return [f"{type(error).__name__}: {error}"]
    if kept not in claim.options:
        found.append(min((_difference(option, kept) for option in claim.options), key=len))
    return found


def fast_folder() -> str | None:
    """Memory where there is some: what is opened here has been through its power cut."""
    return str(IN_MEMORY) if os.access(IN_MEMORY, os.W_OK) else None


def lay_out(files: Files, folder: Path) -> None:
    folder.mkdir()
    for path, file in files.items():
        if file is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(file.data)


def _difference(wanted: Any, found: Any) -> str:
    """The fields that differ, shortened."""
    if is_dataclass(wanted) and type(wanted) is type(found):
        pairs = [(one.name, getattr(wanted, one.name), getattr(found, one.name)) for one in fields(wanted)]
    elif isinstance(wanted, dict) and isinstance(found, dict):
        keys = sorted(wanted.keys() | found.keys(), key=str)
        pairs = [(key, wanted.get(key), found.get(key)) for key in keys]
    else:
        return f"wanted {_short(wanted)} and found {_short(found)}"
    return "; ".join(f"{name}: {_difference(one, other)}" for name, one, other in pairs if one != other)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}… ({len(text)} characters)"
