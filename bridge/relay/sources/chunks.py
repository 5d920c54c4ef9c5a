"""Log text on its way to a cluster over HTTP: each character once at most, gaps marked (I5)."""

import json
from typing import Final, Protocol

from agent.wire.claims import WorkerName
from agent.wire.repeatable import PUSH_LOGS, repeatable
from bridge.errors import AnswerLost, Declined, NotTaken, TokenRefused
from bridge.relay.ledger import Custody, Key
from bridge.relay.sources.lane import Lane, in_workspace

MIN_VERSION: Final = "/api/agent_workers/get_min_version"


class Progress(Protocol):
    """How far each stream of log text has got, on disk: the ledger."""

    async def log_chars(self, key: Key, worker: WorkerName) -> int: ...

    async def log_moved(self, key: Key, worker: WorkerName, chars: int) -> None: ...


class Chunks:
    """A cluster of ours is told where a chunk belongs, and drops one that it has.

    Any other appends whatever comes. There a chunk is noted before it leaves, and one whose answer was lost,
    be it by the death of this bridge, is never sent again: a mark says that it may be missing.
    """

    def __init__(self, progress: Progress) -> None:
        self._progress = progress
        self._repeats: bool | None = None  # None: to be asked (again)

    async def push(
        self, lane: Lane, custody: Custody, writer: str, start: int, text: str, missing: int
    ) -> None:
        """Raises `ClusterDown`; then the same stretch may come again."""
        if self._repeats is None:
            self._repeats = await _repeats(lane)
        path = in_workspace(custody.workspace, "push_logs", custody.job_id)
        try:
            if self._repeats:
                query = {"writer": writer, "offset": str(start)}
                await lane.post(path, json.dumps(text).encode(), query=query)
            else:
                await self._push_once(lane, path, custody, writer, start, text, missing)
        except AnswerLost:
            self._repeats = None  # what answers next may be another release, or another cluster
            raise

    async def _push_once(
        self, lane: Lane, path: str, custody: Custody, writer: str, start: int, text: str, missing: int
    ) -> None:
        key, name = (custody.job_id, custody.attempt), WorkerName(f"offered/{writer}")
        offered = await self._progress.log_chars(key, name)
        doubtful = min(max(0, offered - start), len(text))
        await self._progress.log_moved(key, name, max(offered, start + len(text)))
        try:
            await lane.post(path, json.dumps(_marked(text[doubtful:], missing, doubtful)).encode())
        except (NotTaken, Declined, TokenRefused):
            await self._progress.log_moved(key, name, offered)
            raise


async def _repeats(lane: Lane) -> bool:
    """Whether the cluster knows a chunk that it has."""
    try:
        return PUSH_LOGS in repeatable((await lane.get(MIN_VERSION)).headers)
    except Declined:  # it is older than the endpoint
        return False


def _marked(text: str, missing: int, doubtful: int) -> str:
    """With its gaps in front, and without what a text column cannot hold."""
    gap = f"\n[... {missing} characters dropped: lost on the way ...]\n" if missing else ""
    doubt = (
        f"\n[... {doubtful} characters may be missing: the cluster's answer was lost ...]\n"
        if doubtful
        else ""
    )
    return gap + doubt + text.replace("\0", "").encode(errors="replace").decode()
