"""The steps of a flow as its page shows them. Pure."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.flows.definition import (
    BranchAll,
    BranchOne,
    Flow,
    ForLoop,
    Identity,
    Module,
    RawScript,
    Script,
    Suspend,
    Value,
    WhileLoop,
    steps_of,
)
from bridge.flows.reading import Waiting
from bridge.flows.status import DEFAULT_BRANCH, NIL_JOB, ModuleStatus
from bridge.pages.run_words import CANCELED, ENDED, FAILED, RUNNING, SUCCESS, State
from bridge.runs.steps import Away, Looked

SKIPPED: Final = State("skipped", "\N{EN DASH}", "idle")
AHEAD: Final = State("not yet", "○", "idle")
NEVER: Final = State("not run", "\N{EN DASH}", "idle")
PEOPLE: Final = State("waits for people", "?", "warn")
SLEEPS: Final = State("sleeps", "◷", "idle")
WAITS: Final = State("waits", "○", "warn")
BEGINS: Final = State("begins", "▶", "up")
LINKED_MOST: Final = 60  # cells of a grid that all are links; of a longer one those that have not ended well
CELLS_MOST: Final = 1000
WAITING_MOST: Final = 12  # rows of one step
WORDS: Final = {
    "later": "waits for its time",
    "limited": "waits for a place of its concurrency key",
    "waiting": "waits for its site",
    "taken": "on its way to its site",
    "sent": "on its way to its site",
    "accepted": "at its site, not begun",
    "running": "runs",
    "suspended": "waits for people",
}
KINDS: Final[dict[type, str]] = {
    Identity: "passes on what came before",
    WhileLoop: "again and again",
    BranchOne: "one of its branches",
    BranchAll: "all branches",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """One step below that has not ended, and where it is."""

    job_id: str
    place: int | None  # which iteration or branch
    step_id: str
    tag: str
    words: str
    worker: str | None
    since: float
    away: Away | None


@dataclass(frozen=True, slots=True)
class Cell:
    """One iteration. `job_id` None: it is only counted here."""

    number: int
    state: State
    job_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """What people are asked."""

    count: int
    until: float | None
    form: object
    may_deny: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    id: str
    what: str
    summary: str
    state: State
    job_id: str | None
    duration_ms: int | None
    since: float | None
    remarks: Sequence[str]
    retries: Sequence[str]
    cells: Sequence[Cell]
    left_out: int
    tally: str
    held: Sequence[Held]
    held_left_out: int
    approval: Approval | None


def steps(looked: Looked) -> list[Step]:
    """In the order in which they run."""
    by_module = defaultdict(list)
    for child in looked.children:
        by_module[child["module_id"]].append(child)
    held = defaultdict(list)
    for waiting in looked.waiting:
        held[waiting.module_id].append(waiting)
    modules = steps_of(looked.value)
    shown = [
        _step(module, at, looked, by_module[at.id], held[at.id], _suspend_before(modules, place))
        for place, (module, at) in enumerate(zip(modules, looked.status.modules, strict=True))
    ]
    first, last = looked.status.preprocessor_module, looked.status.failure_module
    if looked.value.preprocessor_module and first:
        module = looked.value.preprocessor_module
        shown.insert(0, _step(module, first, looked, by_module[first.id], held[first.id], None))
    if looked.value.failure_module and last and last.type != "WaitingForPriorSteps":
        module = looked.value.failure_module
        shown.append(_step(module, last, looked, by_module[last.id], held[last.id], None))
    return shown


def _suspend_before(modules: Sequence[Module], place: int) -> Suspend | None:
    return modules[place - 1].suspend if place else None


def _step(
    module: Module,
    at: ModuleStatus,
    looked: Looked,
    children: Sequence[Mapping[str, Any]],
    waiting: Sequence[Waiting],
    suspend: Suspend | None,
) -> Step:
    now = [child for child in children if child["round"] == at.round]
    is_many = at.loop is not None or isinstance(module.value, ForLoop | WhileLoop | BranchAll)
    only = now[-1] if now and not is_many else None
    places = {one.position: one for one in reversed(waiting)}
    cells, left_out = _cells(now, places) if is_many else ([], 0)
    held = [_held(one, looked.away, is_many=is_many) for one in waiting if one.state != "suspended"]
    state = _state(at, waiting, is_over=looked.is_over)
    return Step(
        id=at.id,
        what=what_of(module.value),
        summary=module.summary or "",
        state=state,
        job_id=(only["job_id"] if only else at.job) if at.job != NIL_JOB and not is_many else None,
        duration_ms=only["duration_ms"] if only else _lasted_ms(at, now),
        since=_since(now) if state in (RUNNING, WAITS, BEGINS) else None,
        remarks=_remarks(module, at),
        retries=at.failed_retries,
        cells=cells,
        left_out=left_out,
        tally=_tally(at, now, waiting) if is_many and at.type != "WaitingForPriorSteps" else "",
        held=held[:WAITING_MOST],
        held_left_out=max(0, len(held) - WAITING_MOST),
        approval=_approval(at, suspend) if at.type == "WaitingForEvents" else None,
    )


def what_of(value: Value) -> str:
    """`python3 code`, `script f/pos/price`, `for each item, side by side`."""
    if isinstance(value, RawScript):
        return f"{value.language} code"
    if isinstance(value, Script):
        return f"script {value.path}"
    if isinstance(value, Flow):
        return f"flow {value.path}"
    if isinstance(value, ForLoop):
        return f"for each item, {'side by side' if value.parallel else 'one after another'}"
    return KINDS.get(type(value), "")


def _state(at: ModuleStatus, waiting: Sequence[Waiting], *, is_over: bool) -> State:
    if at.type in ("Success", "Failure"):
        return FAILED if at.type == "Failure" else SKIPPED if at.skipped else SUCCESS
    if is_over:
        return NEVER
    if at.type == "WaitingForEvents":
        return PEOPLE
    if at.type == "WaitingForPriorSteps":
        return AHEAD if at.until_s is None else SLEEPS
    return _open_state(waiting)


def _open_state(waiting: Sequence[Waiting]) -> State:
    if any(one.state == "running" for one in waiting):
        return RUNNING
    if waiting and all(one.state == "suspended" for one in waiting):
        return PEOPLE
    return WAITS if waiting else BEGINS


def _since(children: Sequence[Mapping[str, Any]]) -> float | None:
    return min((child["started_at"] for child in children if child["started_at"]), default=None)


def _lasted_ms(at: ModuleStatus, children: Sequence[Mapping[str, Any]]) -> int | None:
    """Of all its children together, from the first that began to the last that ended."""
    if at.type not in ("Success", "Failure"):
        return None
    began = _since(children)
    ended = max((child["completed_at"] for child in children if child["completed_at"]), default=None)
    return None if began is None or ended is None else max(0, round((ended - began) * 1000))


def _remarks(module: Module, at: ModuleStatus) -> list[str]:
    said = []
    if at.branch is not None and isinstance(module.value, BranchOne):
        said.append(f"took {_branch(module.value, at.branch)}")
    if module.mocked():
        said.append("mocked")
    if at.pre_run_error is not None:
        said.append(at.pre_run_error)
    if at.parent_module is not None:
        said.append(f"for the failure of {at.parent_module}")
    if at.approvers:
        said.append("approved by " + ", ".join(one.approver for one in at.approvers))
    if at.type == "Failure" and module.continue_on_error:
        said.append("the flow goes on all the same")
    return said


def _branch(value: BranchOne, number: int) -> str:
    if number == DEFAULT_BRANCH or number >= len(value.branches):
        return "the default branch"
    return value.branches[number].summary or f"branch {number + 1}: {value.branches[number].expr}"


def _cells(children: Sequence[Mapping[str, Any]], places: Mapping[int, Waiting]) -> tuple[list[Cell], int]:
    """Those that went well are links only while there are few: the page stays small."""
    shown = children[-CELLS_MOST:]
    cells = []
    for child in shown:
        state = cell_state(child, places.get(child["position"]))
        is_linked = len(children) <= LINKED_MOST or state.kind != "good"
        cells.append(Cell(child["position"] + 1, state, child["job_id"] if is_linked else None))
    return cells, len(children) - len(shown)


def cell_state(child: Mapping[str, Any], waiting: Waiting | None = None) -> State:
    """Of one iteration."""
    if child["status"] is not None:
        return SKIPPED if child["skipped"] else ENDED[child["status"]]
    if waiting is None:
        return BEGINS
    return RUNNING if waiting.state == "running" else PEOPLE if waiting.state == "suspended" else WAITS


def _tally(at: ModuleStatus, children: Sequence[Mapping[str, Any]], waiting: Sequence[Waiting]) -> str:
    """`270 of 300 done, 30 wait`."""
    counts = Counter(cell_state(child).word for child in children if child["status"] is not None)
    running = {one.position for one in waiting if one.state == "running"}
    others = {one.position for one in waiting} - running
    total = at.loop.length if at.loop is not None and at.loop.length is not None else None
    done = sum(counts.values())
    said = [f"{done} of {total} done" if total is not None else f"{done} done"]
    said += [
        f"{counts[state.word]} {state.word}" for state in (FAILED, CANCELED, SKIPPED) if counts[state.word]
    ]
    if running:
        said.append(f"{len(running)} run")
    if others:
        said.append(f"{len(others)} wait")
    return ", ".join(said)


def _held(one: Waiting, away: Mapping[str, Away], *, is_many: bool) -> Held:
    return Held(
        job_id=one.job_id,
        place=one.position + 1 if is_many else None,
        step_id=one.step_id,
        tag=one.tag,
        words="is being cancelled" if one.canceled else WORDS[one.state],
        worker=one.worker,
        since=one.since_s,
        away=away.get(one.tag) if one.state == "waiting" else None,
    )


def _approval(at: ModuleStatus, suspend: Suspend | None) -> Approval:
    form = None if suspend is None else suspend.resume_form
    schema = form.get("schema") if isinstance(form, dict) else None
    may_deny = suspend is None or not suspend.hide_cancel
    return Approval(count=at.count, until=at.until_s, form=schema, may_deny=may_deny)
