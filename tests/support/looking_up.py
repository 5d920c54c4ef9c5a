"""Lookups of expressions out of a dict, each counted."""

from collections import Counter
from dataclasses import dataclass, field

from bridge.flows.expressions.model import LookupFailed
from bridge.flows.expressions.paths import pick


@dataclass
class Kept:
    """`values` by "variable u/x", "resource u/x", "flow_user_state key" and "result id"."""

    values: dict[str, bytes] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)

    async def variable(self, path: str) -> bytes:
        return self._required(f"variable {path}")

    async def resource(self, path: str) -> bytes:
        return self._required(f"resource {path}")

    async def flow_user_state(self, key: str) -> bytes:
        self.asked[f"flow_user_state {key}"] += 1
        return self.values.get(f"flow_user_state {key}", b"null")

    async def result_by_id(self, step_id: str, path: tuple[str | int, ...]) -> bytes:
        self.asked[f"result {step_id}"] += 1
        return pick(self.values.get(f"result {step_id}", b"null"), path)

    def _required(self, what: str) -> bytes:
        self.asked[what] += 1
        if what not in self.values:
            raise LookupFailed(f"there is no {what}")
        return self.values[what]
