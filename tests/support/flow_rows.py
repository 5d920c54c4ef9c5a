"""The rows of a cluster of flows in memory, and what references among them stand for."""

import json
from collections import deque
from dataclasses import dataclass, field
from typing import Any

from bridge.flows import definition, values
from bridge.flows.model import Event, Push
from bridge.flows.refs import ArgsOf, ErrorIn, Item, ListOf, Literal, ObjectOf, OfJob, Ref, WithIter
from bridge.flows.rendering import Child, flow_status
from bridge.flows.scope import Resume, Scope
from bridge.flows.status import Status, result_of


@dataclass(kw_only=True)
class Job:
    job_id: str
    kind: str
    tag: str
    args: bytes
    due_s: float
    push: Push | None = None
    flow_id: str | None = None
    code: str | None = None
    entry: str = "main"
    result: bytes | None = None
    end: str | None = None
    told: bool = True  # whether the flow above is told of its end


@dataclass(kw_only=True)
class Row:
    """A flow, as its tables would hold it."""

    job: Job
    value: definition.FlowValue
    status: Status
    kind: str
    path: str | None
    parent: str | None = None
    root: str | None = None
    innermost: str | None = None
    priority: int | None = None
    events: deque[Event] = field(default_factory=deque)
    items: dict[tuple[str, int], list[Any]] = field(default_factory=dict)
    children: list[tuple[str, int, int, str]] = field(default_factory=list)
    words: list[tuple[str, Resume]] = field(default_factory=list)
    wake_at_s: float | None = None


class Rows:
    def __init__(self) -> None:
        self.jobs: dict[str, Job] = {}
        self.flows: dict[str, Row] = {}

    def results(self, scope: Scope) -> dict[str, Any]:
        found: dict[str, Any] = {}
        above = scope.parent
        while above is not None:
            row = self.flows[above]
            for state in row.status.modules:
                ref = result_of(row.status, state.id)
                if ref is not None:
                    found.setdefault(state.id, json.loads(self.text(ref)))
            above = row.parent
        return found | {name: json.loads(self.text(ref)) for name, ref in scope.results}

    def text(self, ref: Ref) -> bytes:
        """JSON."""
        if isinstance(ref, WithIter | ObjectOf | ErrorIn):
            return self._made(ref)
        match ref:
            case Literal():
                return ref.json.encode()
            case OfJob():
                return self.jobs[ref.job_id].result or b"null"
            case ArgsOf():
                return self.jobs[ref.job_id].args
            case ListOf():
                return self._list(ref)
            case Item():
                return json.dumps(self.flows[ref.flow_id].items[ref.module_id, ref.round][ref.index]).encode()

    def _made(self, ref: WithIter | ObjectOf | ErrorIn) -> bytes:
        match ref:
            case WithIter():
                return values.with_iter(self.text(ref.args), ref.index, self.text(ref.value))
            case ObjectOf():
                return json.dumps({name: json.loads(self.text(one)) for name, one in ref.fields}).encode()
            case ErrorIn():
                return values.error_of(self.text(ref.of))

    def _list(self, ref: ListOf) -> bytes:
        found: list[Any] = [json.loads(ref.filler)] * ref.length
        for module_id, round_, position, job_id in self.flows[ref.flow_id].children:
            mine = (module_id, round_) == (ref.module_id, ref.round)
            if mine and position < ref.length and self.jobs[job_id].result is not None:
                found[position] = json.loads(self.jobs[job_id].result or b"null")
        return json.dumps(found).encode()

    def shown(self, row: Row) -> dict[str, Any]:
        return flow_status(row.status, [self._child(*one) for one in row.children])

    def _child(self, module_id: str, round_: int, position: int, job_id: str) -> Child:
        job = self.jobs[job_id]
        success = None if job.end is None else job.end in ("success", "skipped")
        return Child(
            module_id=module_id,
            round=round_,
            position=position,
            job_id=job_id,
            success=success,
            tag=job.tag,
        )
