"""What a flow's author is told before it ever runs."""

import re
from collections import Counter
from collections.abc import Iterator
from typing import Final

from bridge.errors import BadRequest
from bridge.flows.definition import (
    FAILURE,
    PREPROCESSOR,
    AiAgent,
    BranchAll,
    Flow,
    FlowValue,
    ForLoop,
    Identity,
    Module,
    RawScript,
    Script,
    bodies,
)

ID: Final = re.compile(r"[A-Za-z0-9_-]+")
HASH: Final = re.compile(r"[0-9a-f]{16}")
PLACES: Final = ("u/", "f/", "g/", "hub/")
RESERVED: Final = (FAILURE, PREPROCESSOR)


def checked(value: FlowValue) -> FlowValue:
    """The flow itself. Raises `BadRequest`, which names the step and the mend."""
    _ids(value)
    for module in every_module(value):
        _module(module, value)
    for special in (value.failure_module, value.preprocessor_module):
        if special is not None and not isinstance(special.value, RawScript | Script | Flow | Identity):
            raise BadRequest(f"{special.id} must be a script or a flow, not a loop or a branch")
    return value


def every_module(value: FlowValue) -> Iterator[Module]:
    """All modules of the tree, each before those inside it."""
    yield from (one for one in (value.preprocessor_module, value.failure_module) if one is not None)
    pending = value.modules[::-1]
    while pending:
        module = pending.pop()
        yield module
        for body in bodies(module.value):
            pending.extend(body[::-1])


def _ids(value: FlowValue) -> None:
    for module, wanted in ((value.failure_module, FAILURE), (value.preprocessor_module, PREPROCESSOR)):
        if module is not None and module.id != wanted:
            raise BadRequest(f"the id of the {wanted}_module must be {wanted!r}, not {module.id!r}")
    special = {id(value.failure_module), id(value.preprocessor_module)}
    modules = [module for module in every_module(value) if id(module) not in special]
    ids = [module.id for module in modules]
    for one in ids:
        if ID.fullmatch(one) is None:
            raise BadRequest(f"the id of a step has letters, digits, _ and - only, and at least one: {one!r}")
        if one in RESERVED:
            raise BadRequest(f"the id {one!r} is reserved; give the step another one")
    ids += [f"{one.id}-v" for one in modules if one.sleep is not None or one.suspend is not None]
    for one, times in Counter(ids).items():
        if times > 1:
            raise BadRequest(
                f"the id {one!r} is there {times} times; results are found by id across the whole flow, so "
                "each step needs one of its own (one with sleep or suspend also takes <id>-v)"
            )


def _module(module: Module, value: FlowValue) -> None:
    step = f"step {module.id!r}"
    kind = module.value
    if isinstance(kind, AiAgent):
        raise BadRequest(f"{step}: modules of the type aiagent are not served; call the model from a script")
    if isinstance(kind, Script | Flow):
        _path(step, kind)
    if isinstance(kind, ForLoop | BranchAll):
        _many_at_once(step, kind, value)
    _controls(step, module)


def _path(step: str, value: Script | Flow) -> None:
    if not value.path.startswith(PLACES):
        raise BadRequest(f"{step}: a path begins with u/, f/, g/ or hub/, and {value.path!r} does not")
    if isinstance(value, Script) and value.hash is not None and HASH.fullmatch(value.hash) is None:
        raise BadRequest(f"{step}: a hash has 16 hexadecimal digits, and {value.hash!r} is none")


def _many_at_once(step: str, value: ForLoop | BranchAll, flow: FlowValue) -> None:
    if value.parallel and flow.same_worker:
        raise BadRequest(f"{step}: same_worker and parallel exclude each other; leave one of them out")
    if value.deadline_s is not None and not value.deadline_s > 0:
        raise BadRequest(f"{step}: deadline_s must be above 0 seconds")
    if isinstance(value, ForLoop) and isinstance(value.parallelism, int) and value.parallelism < 1:
        raise BadRequest(f"{step}: parallelism must be 1 or more, or left out")


def _controls(step: str, module: Module) -> None:
    retry, plain = module.retry, isinstance(module.value, RawScript | Script)
    if retry is not None:
        grows = retry.exponential
        if grows is not None and grows.attempts and not grows.seconds:
            raise BadRequest(
                f"{step}: retry.exponential needs seconds above 0; use retry.constant to retry at once"
            )
        if retry.asks() and module.delivery == "at_most_once":  # I2: its work would begin a second time
            raise BadRequest(f"{step}: an at_most_once step is not retried; leave out retry")
    if not plain and (module.delivery is not None or module.lost_after is not None):
        raise BadRequest(
            f"{step}: delivery and lost_after are for steps that are scripts; set them on the steps inside"
        )
    for name, seconds in (("sleep", module.sleep), ("timeout", module.timeout)):
        if isinstance(seconds, int | float) and not seconds >= 0:
            raise BadRequest(f"{step}: {name} must be 0 seconds or more")
