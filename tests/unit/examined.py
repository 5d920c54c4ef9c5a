"""A site as the doctor finds it, for the tests of what it says."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agent.site.checks import Check, Verdict
from agent.site.doctor import Asked, examine

NO_CLAIMS = "jwt_agent_a.b.c"


def files(folder: Path) -> list[tuple[str, bytes]]:
    """But for the two that SQLite makes for whoever looks."""
    there = [one for one in folder.iterdir() if one.is_file() and not one.name.startswith("spool.db-")]
    return sorted((one.name, one.read_bytes()) for one in there)


def allow(place: Path, mode: int) -> None:
    place.chmod(mode)


async def told(spool: Path, env: Mapping[str, str], **more: Any) -> dict[str, Check]:
    """By name; each has one line and, where it is not ok, a mend in one line."""
    found = await examine(Asked(env=env, spool=spool, **more))
    for check in found:
        assert len(check.said.splitlines()) == 1
        assert len(check.mend.splitlines()) == (0 if check.verdict is Verdict.OK else 1), check
    return {check.name: check for check in found}


def settings(url: str, token: str = NO_CLAIMS, **more: str) -> dict[str, str]:
    return {"AGENT_TOKEN": token, "BASE_INTERNAL_URL": url} | more


def is_failed(check: Check, *words: str) -> None:
    assert check.verdict is Verdict.FAIL
    for word in words:
        assert word in f"{check.said}; {check.mend}"
