"""What one turn of a loop, or one branch of a branchall, is pushed as."""

from bridge.flows import names, pushing
from bridge.flows.definition import BranchAll, ForLoop, Module, RawScript, Script, WhileLoop
from bridge.flows.draft import Draft
from bridge.flows.model import Run
from bridge.flows.refs import Item, Literal, Ref, WithIter
from bridge.flows.status import ModuleStatus


def push_next(draft: Draft, module: Module, state: ModuleStatus, position: int) -> str:
    """The child at this position; its job's id."""
    value = module.value
    if isinstance(value, BranchAll):
        what = pushing.body(draft, value.branches[position].modules, f"{module.id}-{position}")
        return pushing.push_body(
            draft, module, state, what, draft.args(), f"branchall-{position}", position=position
        )
    if not isinstance(value, ForLoop | WhileLoop):
        raise TypeError(value)
    given = WithIter(draft.args(), position, _item(draft, value, state, position))
    alone = direct(draft.run, value)
    if alone is not None:
        seen = names.with_previous(draft, given, given)
        return pushing.push_plain(draft, alone, state, seen, None, position)
    parallel = isinstance(value, ForLoop) and value.parallel
    return pushing.push_body(
        draft,
        module,
        state,
        pushing.body(draft, value.modules, f"{module.id}-{position}"),
        given,
        f"{'forloop' if parallel else 'loop'}-{position}",
        position=position,
        rooted=parallel,
    )


def direct(run: Run, value: ForLoop | WhileLoop) -> Module | None:
    """The one plain script that a serial loop's turn is, and that needs no flow around it (openflow.md 3)."""
    if isinstance(value, ForLoop) and (value.parallel or run.kind == "flowpreview"):
        return None
    if len(value.modules) != 1 or run.value.failure_module is not None:
        return None
    (alone,) = value.modules
    return alone if isinstance(alone.value, RawScript | Script) and not _controlled(alone) else None


def _controlled(module: Module) -> bool:
    controls = (
        module.retry,
        module.stop_after_if,
        module.stop_after_all_iters_if,
        module.skip_if,
        module.sleep,
        module.suspend,
    )
    return any(one is not None for one in controls) or module.continue_on_error or module.mocked()


def _item(draft: Draft, value: ForLoop | WhileLoop, state: ModuleStatus, position: int) -> Ref:
    if isinstance(value, WhileLoop):
        return Literal(str(position))
    if draft.listed:  # not kept yet, so a question could not find it
        return Literal(bytes(draft.listed[position]).decode())
    return Item(draft.run.job_id, state.id, state.round, position)
