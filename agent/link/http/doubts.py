"""Log text of which nobody knows whether a plain cluster has taken it (I5): it is not sent a second time."""

import json
from dataclasses import dataclass
from typing import Final

from agent.link.http.holdings import Holdings, Key
from agent.wire.claims import Attempt, JobId

NOTE: Final = "log_in_doubt"
KEPT_MAX: Final = 100  # more than one message of log text has pieces
MARK: Final = "\n[... up to {} characters missing: the cluster did not say whether it took them ...]\n"


@dataclass(frozen=True, slots=True)
class Asked:
    end: int  # characters of the job's text that the cluster was asked to take
    size: int  # how many of them are in doubt
    is_taken: bool = False  # known in this process only


class Doubts:
    """Each stretch is written down before it is sent, so a crash leaves no text that might go twice.

    Outlives the lives of the link.
    """

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._asked: dict[Key, Asked] | None = None

    async def without(self, key: Key, start: int, text: str) -> str:
        """What may be sent of `text`, with a mark in place of what is in doubt."""
        asked = (await self._known()).get(key)
        if asked is None or start >= asked.end:
            return text
        rest = text[asked.end - start :]
        return rest if asked.is_taken else MARK.format(asked.size) + rest

    async def ask(self, key: Key, start: int, end: int) -> Asked | None:
        """Write down that this stretch is about to be sent. What was written before."""
        known = await self._known()
        before = known.pop(key, None)
        known[key] = Asked(end, end - start)
        while len(known) > KEPT_MAX:
            del known[next(iter(known))]
        await self._keep()
        return before

    async def withdraw(self, key: Key, before: Asked | None) -> None:
        """It was not taken, that is certain."""
        known = await self._known()
        if before is None:
            known.pop(key, None)
        else:
            known[key] = before
        await self._keep()

    def settle(self, key: Key) -> None:
        """It was taken. Not worth a commit: after a crash a mark says that it may be missing."""
        assert self._asked is not None  # noqa: S101 it was asked for
        asked = self._asked[key]
        self._asked[key] = Asked(asked.end, asked.size, is_taken=True)

    async def _known(self) -> dict[Key, Asked]:
        if self._asked is None:
            rows = json.loads(await self._holdings.get_note(NOTE) or "[]")
            self._asked = {
                (JobId(job), Attempt(attempt)): Asked(end, size) for job, attempt, end, size in rows
            }
        return self._asked

    async def _keep(self) -> None:
        rows = [(*key, asked.end, asked.size) for key, asked in (self._asked or {}).items()]
        await self._holdings.set_note(NOTE, json.dumps(rows))
