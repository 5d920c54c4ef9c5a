"""The `flow_status` that the API shows, from the machine's status and the children's rows (openflow.md 3)."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from bridge.flows.definition import FAILURE
from bridge.flows.status import DEFAULT_BRANCH, NIL_JOB, Loop, ModuleStatus, Status, ended
from bridge.jobs.model import rfc3339


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """A row of `flow_child` with what its job's row says; times in wall seconds.

    `worker`: who holds it, ours: a flow's reader asks which site it waits for.
    """

    module_id: str
    round: int
    position: int
    job_id: str
    success: bool | None = None  # None: it has not ended
    started_at_s: float | None = None
    duration_ms: int | None = None
    tag: str | None = None
    worker: str | None = None


Children = Mapping[str, Sequence[Child]]


def flow_status(status: Status, children: Iterable[Child]) -> dict[str, Any]:
    """Falses and empty lists are left out, but for `skipped` of a success."""
    by_module = _sorted(children)
    shown: dict[str, Any] = {
        "step": status.step,
        "modules": [_module(module, by_module) for module in status.modules],
        "failure_module": _special(status.failure_module, by_module)
        or {"type": "WaitingForPriorSteps", "id": FAILURE},
        "preprocessor_module": _special(status.preprocessor_module, by_module),
        "cleanup_module": {},
    }
    if status.retry.fail_count or status.retry.failed_jobs:
        shown["retry"] = {"fail_count": status.retry.fail_count, "failed_jobs": status.retry.failed_jobs}
    if status.approval_conditions is not None:
        shown["approval_conditions"] = msgspec.to_builtins(status.approval_conditions)
    if status.restarted_from is not None:
        shown["restarted_from"] = msgspec.to_builtins(status.restarted_from)
    return shown


def _sorted(children: Iterable[Child]) -> Children:
    found = defaultdict(list)
    for child in sorted(children, key=lambda one: (one.round, one.position)):
        found[child.module_id].append(child)
    return found


def _special(module: ModuleStatus | None, children: Children) -> dict[str, Any] | None:
    if module is None:
        return None
    parent = {"parent_module": module.parent_module} if module.parent_module else {}
    return _module(module, children) | parent


def _module(module: ModuleStatus, children: Children) -> dict[str, Any]:
    mine = [child for child in children.get(module.id, ()) if child.round == module.round]
    shown: dict[str, Any] = {"type": module.type, "id": module.id}
    if module.type == "WaitingForEvents":
        return shown | {"count": module.count, "job": module.job}
    if module.type == "WaitingForPriorSteps":
        return shown
    if module.type == "WaitingForExecutor" and mine and mine[-1].started_at_s is not None:
        shown["type"] = "InProgress"
    shown["job"] = module.job or NIL_JOB
    if module.type == "Success":
        shown["skipped"] = module.skipped
    if module.loop is not None:
        shown |= _loop(module, module.loop, mine)
    return shown | _extras(module) | _whereabouts(module, mine)


def _extras(module: ModuleStatus) -> dict[str, Any]:
    shown: dict[str, Any] = {}
    if module.branch is not None:
        chosen = {"type": "default"} if module.branch == DEFAULT_BRANCH else None
        shown["branch_chosen"] = chosen or {"type": "branch", "branch": module.branch}
    if module.approvers:
        shown["approvers"] = msgspec.to_builtins(module.approvers)
    if module.failed_retries and ended(module):
        shown["failed_retries"] = module.failed_retries
    return shown


def _loop(module: ModuleStatus, loop: Loop, children: Sequence[Child]) -> dict[str, Any]:
    shown: dict[str, Any] = {"flow_jobs": [child.job_id for child in children]}
    if children:
        shown["flow_jobs_success"] = [child.success for child in children]
        shown["flow_jobs_duration"] = {
            "started_at": [rfc3339(child.started_at_s) for child in children],
            "duration_ms": [child.duration_ms for child in children],
        }
    if ended(module):
        return shown
    index = loop.ended if loop.parallel else max(loop.pushed - 1, 0)
    if loop.kind == "branchall":
        shown["branchall"] = {"branch": index, "len": loop.length}
    else:
        shown["iterator"] = {"index": index} | ({} if loop.length is None else {"itered_len": loop.length})
    return shown | {
        name: True
        for name, held in (("parallel", loop.parallel), ("while_loop", loop.kind == "while"))
        if held
    }


def _whereabouts(module: ModuleStatus, children: Sequence[Child]) -> dict[str, Any]:
    """Ours: the children that have not ended, their tags and who holds them (null: nobody yet)."""
    waiting = [child for child in children if child.success is None]
    if ended(module) or not waiting:
        return {}
    return {"held": [{"job": child.job_id, "tag": child.tag, "worker": child.worker} for child in waiting]}
