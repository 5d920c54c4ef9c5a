"""What a call to the cluster needs of a job besides its id."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from agent.link.http.holdings import Holdings, Key
from agent.wire.messages import Delivery

KEPT_MAX: Final = 1000


@dataclass(frozen=True, slots=True)
class Origin:
    workspace: str
    delivery: Delivery = Delivery.AT_LEAST_ONCE
    token: str = ""
    record: Mapping[str, Any] = field(default_factory=dict)  # the cluster's own of the job


class Origins:
    """Of jobs in custody; the last ones asked for are kept in memory, since a job's bytes may be large."""

    def __init__(self, holdings: Holdings) -> None:
        self._holdings = holdings
        self._kept: dict[Key, Origin] = {}

    async def of(self, key: Key) -> Origin | None:
        """None when the job is let go, or its bytes are damaged."""
        if (kept := self._kept.get(key)) is not None:
            return kept
        job = await self._holdings.job(key)
        if job is None:
            return None
        if len(self._kept) >= KEPT_MAX:
            del self._kept[next(iter(self._kept))]
        self._kept[key] = Origin(job.workspace, job.delivery, job.token, json.loads(job.origin or "{}"))
        return self._kept[key]

    def forget(self, key: Key) -> None:
        self._kept.pop(key, None)
