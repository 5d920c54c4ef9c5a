"""A flow is run again from one of its steps, with what the steps before it gave (openflow.md 4)."""

from dataclasses import dataclass

from bridge.errors import BadRequest
from bridge.flows.definition import BranchAll, FlowValue, ForLoop, Module, WhileLoop, steps_of
from bridge.flows.status import ModuleStatus, RestartedFrom, Status, first_status


@dataclass(frozen=True, slots=True, kw_only=True)
class CopyChildren:
    """The new flow takes over these children of the old one: positions 0 to `below` - 1 of one round.

    In the new flow they are of round 0. Their jobs stay what they are: only rows of `flow_child` are made.
    """

    module_id: str
    old_round: int
    below: int


@dataclass(frozen=True, slots=True)
class Restart:
    status: Status
    copies: tuple[CopyChildren, ...] = ()


def restarted(
    value: FlowValue, old: Status, old_flow_id: str, step_id: str, branch_or_iteration_n: int | None = None
) -> Restart:
    """How the new flow begins. Raises `BadRequest`: a step before it has not succeeded, or there is no such.

    `branch_or_iteration_n`: the first turn of a serial loop or branch of a branchall to be run again.
    """
    steps = steps_of(value)
    index = next((at for at, module in enumerate(steps) if module.id == step_id), None)
    if index is None:
        known = ", ".join(module.id for module in steps)
        raise BadRequest(f"this flow has no step {step_id!r} at its top; it has {known or 'none'}")
    status = first_status(value)
    status.step, status.begun = index, True
    status.restarted_from = RestartedFrom(old_flow_id, step_id, branch_or_iteration_n)
    for at in range(index):
        status.modules[at] = _copied(old, steps[at].id)
    if not branch_or_iteration_n:
        return Restart(status)
    copy = _part(steps[index], old, branch_or_iteration_n)
    status.modules[index].starts_at = branch_or_iteration_n
    return Restart(status, (copy,))


def _copied(old: Status, module_id: str) -> ModuleStatus:
    found = _state(old, module_id)
    if found is None or found.type != "Success":
        raise BadRequest(f"the flow cannot be restarted after {module_id!r}: that step has not succeeded")
    return ModuleStatus(
        id=found.id,
        type="Success",
        job=found.job,
        skipped=found.skipped,
        branch=found.branch,
        approvers=found.approvers,
        result=found.result,  # it names its jobs or its flow, so it holds in another flow too
    )


def _part(module: Module, old: Status, first: int) -> CopyChildren:
    value, found = module.value, _state(old, module.id)
    serial = isinstance(value, ForLoop | BranchAll) and not value.parallel
    if not serial and not isinstance(value, WhileLoop):
        raise BadRequest(
            f"branch_or_iteration_n is for serial loops and branchalls, and {module.id!r} is none"
        )
    if found is None or found.loop is None or found.loop.ended < first:
        ended = 0 if found is None or found.loop is None else found.loop.ended
        raise BadRequest(
            f"only {ended} turns of {module.id!r} have ended: take a branch_or_iteration_n up to it"
        )
    return CopyChildren(module_id=module.id, old_round=found.round, below=first)


def _state(status: Status, module_id: str) -> ModuleStatus | None:
    return next((one for one in status.modules if one.id == module_id), None)
