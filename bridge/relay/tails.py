"""I5: where the end of a job's log was lost on the way, its log says so: no later text would show the gap."""

from collections import OrderedDict
from collections.abc import Container
from dataclasses import dataclass
from typing import Final

import structlog

from agent.clock import Clock
from agent.wire.claims import WorkerName
from agent.wire.messages import Result
from bridge.errors import ClusterDown
from bridge.relay.ledger import Custody, Key, Ledger
from bridge.relay.sources.source import Source

log = structlog.get_logger()

PATIENCE_S: Final = 600.0  # text leaves a site after its result, and is recorded after all results
KEPT_MAX: Final = 20_000  # (I6) the oldest are forgotten, and then no mark tells of what they lack
MARK: Final = "\n[... {} characters at the end may be missing: lost on the way ...]\n"


@dataclass(frozen=True, slots=True)
class _Tail:
    worker: WorkerName
    chars: int  # of the whole log
    at_s: float  # monotonic: not looked at before this


class Tails:
    """Results say how long their log is. In memory only: what a bridge recorded before it died gets no mark.

    A mark that comes too early does no harm: text that comes after it is taken as ever.
    """

    def __init__(self, source: Source, ledger: Ledger, clock: Clock, most: int = KEPT_MAX) -> None:
        self._source = source
        self._ledger = ledger
        self._clock = clock
        self._most = most
        self._tails: OrderedDict[Key, _Tail] = OrderedDict()  # the next due first

    def note(self, custody: Custody, result: Result) -> None:
        """Its result has been recorded."""
        if custody.custodian and custody.attempt == result.attempt and result.log_chars:
            self._wait_for((result.job_id, result.attempt), custody.custodian, result.log_chars)

    @property
    def are_due(self) -> bool:
        now_s = self._clock.monotonic_s()
        return bool(self._tails) and next(iter(self._tails.values())).at_s <= now_s

    async def look(self, there: Container[WorkerName], *, log_waits: bool) -> None:
        """`there`: who can send what it still has; `log_waits`: the broker has text. Raises `ClusterDown`."""
        while self.are_due:
            key, tail = self._tails.popitem(last=False)
            missing = tail.chars - await self._ledger.log_chars(key, tail.worker)
            if missing > 0 and (log_waits or tail.worker not in there):
                self._wait_for(key, tail.worker, tail.chars)
            elif missing > 0:
                try:
                    await self._mark(key, tail, missing)
                except ClusterDown:
                    self._wait_for(key, tail.worker, tail.chars)
                    raise

    async def _mark(self, key: Key, tail: _Tail, missing: int) -> None:
        custody = await self._ledger.attempt(key)
        if custody is None:
            return
        log.warning("joblog.end_missing", job_id=key[0], worker=tail.worker, chars=missing)
        writer, text = f"{tail.worker}/{key[1]}/end", MARK.format(missing)
        await self._source.push_log(custody, writer, 0, text, missing=0)

    def _wait_for(self, key: Key, worker: WorkerName, chars: int) -> None:
        self._tails[key] = _Tail(worker, chars, self._clock.monotonic_s() + PATIENCE_S)
        self._tails.move_to_end(key)
        if len(self._tails) > self._most:
            self._tails.popitem(last=False)
