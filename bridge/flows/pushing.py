"""A child of a flow, as it is to be pushed (openflow.md 3 and 4, Tags)."""

from dataclasses import dataclass
from typing import Final

from bridge.flows import names
from bridge.flows.definition import (
    FAILURE,
    Flow,
    FlowValue,
    Identity,
    Module,
    Plain,
    RawScript,
    Script,
)
from bridge.flows.draft import Broken, Draft
from bridge.flows.ending import error_ref
from bridge.flows.model import Body, CodeOf, Ended, FlowAt, Nothing, Push, ScriptAt, Source, Tags
from bridge.flows.names import InputFailed, Names
from bridge.flows.refs import ArgsOf, ObjectOf, Ref
from bridge.flows.status import ModuleStatus

FLOW_TAG: Final = "flow"
Step = Plain | Flow | Identity


@dataclass(frozen=True, slots=True, kw_only=True)
class Child:
    """What differs from child to child. `module`: whose controls and tag it has."""

    module: Module
    state: ModuleStatus  # of the step of this flow that it belongs to
    source: Source
    args: Ref
    position: int = 0
    own_tag: str | None = None
    path: str | None = None
    ended: Ended | None = None
    pre_run_error: str | None = None
    timeout_s: int | None = None
    scheduled_in_s: float = 0
    rooted: bool = False  # it begins a root of its own: a sub-flow, or one of many at once


def push(draft: Draft, child: Child) -> str:
    """Its job's id."""
    run, module, state = draft.run, child.module, child.state
    job_id = draft.child_id(state.id, state.round, child.position)
    draft.pushes.append(
        Push(
            job_id=job_id,
            module_id=state.id,
            round=state.round,
            position=child.position,
            source=child.source,
            args=child.args,
            tags=_tags(draft, state, child.own_tag),
            root_job=run.root_job or run.job_id,
            path=child.path,
            flow_innermost_root_job=None if child.rooted else run.flow_innermost_root_job or run.job_id,
            entrypoint="preprocessor" if state is draft.status.preprocessor_module else None,
            priority=_priority(draft, module),
            timeout_s=child.timeout_s,
            delivery=module.delivery,
            lost_after_s=module.lost_after,
            cache_ttl_s=module.cache_ttl,
            same_worker=_same_worker(run.value, module),
            scheduled_in_s=child.scheduled_in_s,
            pre_run_error=child.pre_run_error,
            ended=child.ended,
        )
    )
    return job_id


def push_plain(
    draft: Draft, module: Module, state: ModuleStatus, seen: Names, index: int | None, position: int = 0
) -> str:
    """A script or a sub-flow with its inputs evaluated; one whose inputs fail has failed when it is pushed.

    Nothing of that travels to a site, which may be away for days.
    """
    try:
        return push(draft, _plain(draft, module, state, seen, index, position))
    except InputFailed as failed:
        return push(draft, _unready(draft, module, state, str(failed), position))


def push_again(
    draft: Draft, module: Module, state: ModuleStatus, failed_job: str, seen: Names, delay_s: float
) -> str:
    """A plain step once more, with the failed job's arguments; `state` is of the new round."""
    if state.pre_run_error is not None:
        return push(draft, _unready(draft, module, state, state.pre_run_error, 0))
    source, own_tag, path = _what(draft, module)
    child = Child(
        module=module,
        state=state,
        source=source,
        args=ArgsOf(failed_job),
        own_tag=own_tag,
        path=path,
        timeout_s=_timeout(draft, module, seen),
        scheduled_in_s=delay_s,
        rooted=isinstance(source, FlowAt),
    )
    return push(draft, child)


def push_preprocessor(draft: Draft, module: Module, state: ModuleStatus) -> str:
    """It is given the flow's arguments as they came; `_tags` leaves it its own tag."""
    source, own_tag, path = _what(draft, module)
    child = Child(module=module, state=state, source=source, args=draft.args(), own_tag=own_tag, path=path)
    return push(draft, child)


def push_ended(
    draft: Draft, module: Module, state: ModuleStatus, result: Ref, *, skipped: bool = False
) -> str:
    """An identity: it gives `result` at once."""
    child = Child(
        module=module,
        state=state,
        source=Nothing(),
        args=ObjectOf(),
        own_tag=FLOW_TAG,
        path=_below(draft, module.id),
        ended=Ended(success=True, result=result, skipped=skipped),
    )
    return push(draft, child)


def body(draft: Draft, modules: list[Module], failure_suffix: str) -> Body:
    """These modules as a flow of their own, with a copy of the failure module."""
    handler = draft.status.failure_module
    value = draft.bodies.setdefault(id(modules), _body_value(draft.run.value, modules))
    return Body(value=value, failure_id=FAILURE if handler is None else f"{handler.id}-{failure_suffix}")


def _body_value(value: FlowValue, modules: list[Module]) -> FlowValue:
    return FlowValue(
        modules=modules,
        failure_module=value.failure_module,
        same_worker=value.same_worker,
        preserve_step_tags=value.preserve_step_tags,
        flow_env=value.flow_env,
    )


def push_body(
    draft: Draft, module: Module, state: ModuleStatus, what: Body, args: Ref, name: str,
    *, position: int = 0, rooted: bool = False, delay_s: float = 0,
) -> str:  # fmt: skip
    child = Child(
        module=module,
        state=state,
        source=what,
        args=args,
        position=position,
        own_tag=FLOW_TAG,
        path=_below(draft, name),
        scheduled_in_s=delay_s,
        rooted=rooted,
    )
    return push(draft, child)


def _plain(
    draft: Draft, module: Module, state: ModuleStatus, seen: Names, index: int | None, position: int
) -> Child:
    source, own_tag, path = _what(draft, module)
    value = module.value
    if not isinstance(value, RawScript | Script | Flow):
        raise TypeError(value)
    return Child(
        module=module,
        state=state,
        source=source,
        args=names.inputs(draft, value.input_transforms, seen, index),
        position=position,
        own_tag=own_tag,
        path=path,
        timeout_s=_timeout(draft, module, seen),
        rooted=isinstance(source, FlowAt),
    )


def _unready(draft: Draft, module: Module, state: ModuleStatus, why: str, position: int) -> Child:
    source, own_tag, path = _what(draft, module)
    state.pre_run_error = why
    return Child(
        module=module,
        state=state,
        source=source,
        args=ObjectOf(),
        position=position,
        own_tag=own_tag,
        path=path,
        pre_run_error=why,
        ended=Ended(success=False, result=error_ref("ExecutionErr", why, step_id=state.id)),
    )


def _what(draft: Draft, module: Module) -> tuple[Source, str | None, str | None]:
    """What is run, its own tag, and its path."""
    value = module.value
    if isinstance(value, RawScript):
        code = CodeOf(
            value.content,
            value.language,
            value.lock,
            value.concurrent_limit,
            value.concurrency_time_window_s,
            value.custom_concurrency_key,
        )
        return code, value.tag, value.path or _below(draft, module.id)
    if isinstance(value, Script):
        return ScriptAt(value.path, value.hash), value.tag_override, value.path
    if isinstance(value, Flow):
        return FlowAt(value.path), None, value.path
    raise Broken(f"step {module.id}: a {type(value).__name__} cannot be run here")


def _below(draft: Draft, name: str) -> str | None:
    return None if draft.run.path is None else f"{draft.run.path}/{name}"


def _tags(draft: Draft, state: ModuleStatus, own: str | None) -> Tags:
    tag = draft.run.tag
    if tag == FLOW_TAG or tag.startswith(f"{FLOW_TAG}-") or state is draft.status.preprocessor_module:
        return Tags(own=own or None)
    if draft.run.value.preserve_step_tags:
        return Tags(own=own or None, otherwise=tag)
    return Tags(fixed=tag)


def _priority(draft: Draft, module: Module) -> int:
    wanted = (module.priority, draft.run.priority, draft.run.value.priority)
    return next((one for one in wanted if one is not None), 0)


def _timeout(draft: Draft, module: Module, seen: Names) -> int | None:
    if module.timeout is None:
        return None
    found = names.number_of(draft, module.timeout, seen, name=f"the timeout of step {module.id}")
    return None if found is None else int(found)


def _same_worker(value: FlowValue, module: Module) -> bool:
    return value.same_worker and module.suspend is None and module.sleep is None
