"""Every page of docs/reference that is made from the code."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from dev_tools.places import ROOT
from dev_tools.reference import api, commands, events, job_errors, messages, settings

FOLDER: Final = ROOT / "docs" / "reference"
PAGES: Final[Mapping[str, Callable[[], str]]] = {
    "settings.md": settings.written,
    "commands.md": commands.written,
    "api.md": api.written,
    "messages.md": messages.written,
    "events.md": events.written,
    "errors.md": job_errors.written,
}


def write() -> list[Path]:
    """All of them, anew; those that have changed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    changed = []
    for name, written in PAGES.items():
        place, text = FOLDER / name, written()
        if not place.exists() or place.read_text() != text:
            place.write_text(text)
            changed.append(place)
    return changed
