"""A step becomes a job, inside the transaction of the transition that asks for it."""

from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import msgspec

from agent.wire.claims import Tag
from bridge.errors import BadRequest, NotFound
from bridge.flows import caching, definition, deployed, status, values
from bridge.flows.model import Body, CodeOf, Ended, FlowAt, Push, ScriptAt, Tags
from bridge.flows.refs import ArgsOf, Literal, OfJob, Ref, WithIter
from bridge.flows.resolving import text_of
from bridge.jobs import parents, push, scripts, transitions
from bridge.jobs.lanes import FLOW, lane_of
from bridge.jobs.model import FlowText, FormerChild, error_object
from bridge.jobs.news import LATER, Kind
from bridge.jobs.tag_rules import TagRules
from bridge.jobs.tags import OF_LANGUAGE, interpolate
from bridge.store.bulletin import Note, Tell
from bridge.store.statements import queries
from bridge.store.store import Connection, Row
from bridge.tokens.tags import checked_tag

SQL: Final = queries(Path(__file__).with_name("children.sql"))
TELLING: Final = (
    "workspace_id", "kind", "script_path", "script_hash", "flow_version", "language", "code", "lock", "args",
)  # fmt: skip
DEPLOYED: Final = ("flow", "flownode")  # kinds of flows whose steps are not previews


class Pusher:
    """Takes the pushes of one transition; `flush` writes them, each kind of row in one go."""

    def __init__(
        self, connection: Connection, flow_id: str, tags: TagRules, now_s: float, tell: Tell
    ) -> None:
        self._connection = connection
        self._parent: Row = connection.execute(SQL["parent"], {"id": flow_id}).fetchone()
        self._tags = tags
        self._now_s = now_s
        self._tell = tell
        self._jobs: list[dict[str, Any]] = []
        self._places: list[dict[str, Any]] = []  # in the queue
        self._children: list[FormerChild] = []
        self._flows: list[tuple[str, FlowText]] = []
        self._ended: list[tuple[str, Ended]] = []
        self._works: list[tuple[str, str]] = []
        self._args: dict[Ref, str] = {}  # of the flow itself, which every turn of a loop is given
        self._bodies: dict[int, FlowText] = {}

    def push(self, asked: Push) -> None:
        """The step's job, in the queue or ended already. What is refused is recorded as failed."""
        args = self._text(asked.args)
        try:
            row, flow = self._row(asked, args)
        except (BadRequest, NotFound) as error:
            row, flow = _blank(self._parent, asked, args, self._now_s), None
            refusal = msgspec.json.encode({"error": error_object("InternalError", str(error))}).decode()
            asked = replace(asked, ended=Ended(success=False, result=Literal(refusal)))
        self._jobs.append(row)
        self._children.append(FormerChild(asked.module_id, asked.round, asked.position, asked.job_id))
        asked = self._once(asked, row)
        work = None if asked.ended or not asked.cache_ttl_s else _work(row)
        ended = asked.ended or _cached(self._connection, work, asked, self._now_s)
        if ended is not None:
            self._ended.append((asked.job_id, ended))
            return
        self._queue(asked, row)
        if work is not None:
            self._works.append((work, asked.job_id))
        if flow is not None:
            self._flows.append((asked.job_id, flow))

    def _once(self, asked: Push, row: dict[str, Any]) -> Push:
        """I2: what may be begun once only is not tried again; its failure stands."""
        if asked.round == 0 or row["delivery"] != "at_most_once" or asked.ended is not None:
            return asked
        place = {"flow_id": self._parent["id"], "module_id": asked.module_id, "position": asked.position}
        former = self._connection.execute(SQL["former"], {**place, "round": asked.round - 1}).fetchone()
        return replace(asked, ended=Ended(success=False, result=OfJob(former["job_id"])))

    def flush(self) -> None:
        flow_id = self._parent["id"]
        push.insert_all(self._connection, self._jobs, self._places)
        parents.add_children(self._connection, flow_id, self._children)
        parents.begin_all(self._connection, self._flows)
        for work, job_id in self._works:
            caching.note(self._connection, work, job_id)
        for job_id, ended in self._ended:
            _end(self._connection, flow_id, job_id, ended, self._now_s, self._tell)

    def _queue(self, asked: Push, row: dict[str, Any]) -> None:
        later = asked.scheduled_in_s > 0
        # What fails before it begins waits for no site.
        lane = FLOW if asked.pre_run_error is not None else lane_of(row["kind"], row["tag"])
        self._places.append({**row, "state": "later" if later else "ready", "lane": lane})
        self._tell(LATER if later else Note(Kind.PUSHED, lane))

    def _text(self, ref: Ref) -> str:
        if isinstance(ref, WithIter):
            args, value = self._text(ref.args), text_of(self._connection, ref.value)
            return values.with_iter(args.encode(), ref.index, value.encode()).decode()
        if not isinstance(ref, ArgsOf):
            return text_of(self._connection, ref)
        if ref not in self._args:
            self._args[ref] = text_of(self._connection, ref)
        return self._args[ref]

    def _row(self, asked: Push, args: str) -> tuple[dict[str, Any], FlowText | None]:
        """The job's columns, and the flow that it is, if it is one. Raises `BadRequest` and `NotFound`."""
        row = _blank(self._parent, asked, args, self._now_s)
        workspace = self._parent["workspace_id"]
        flow: FlowText | None = None
        own_tag: str | None = None
        match asked.source:
            case CodeOf() as code:
                row |= {
                    "kind": "preview",
                    "language": code.language,
                    "code": code.content,
                    "lock": code.lock,
                    **_limit(code, f"$workspace/script/{asked.path or _nameless(asked)}", workspace, args),
                }
            case ScriptAt() as at:
                script = _script(self._connection, workspace, at)
                row |= _of_script(script, asked, workspace, args)
                own_tag = script["tag"]
            case FlowAt() as at:
                flow = deployed.text_of(deployed.head(self._connection, workspace, at.path))
                row |= {"kind": "flow", "flow_version": flow.version}
                row |= _limit(flow, f"$workspace/flow/{at.path}", workspace, args)
                row["timeout_s"] = asked.timeout_s or flow.timeout_s
                own_tag = flow.tag
            case Body() as body:
                flow = self._body(body)
                row["kind"] = flow.kind
        row["tag"] = _tag(asked.tags, own_tag, row["language"], workspace, args, self._tags)
        return row, flow

    def _body(self, body: Body) -> FlowText:
        """One for all turns of a loop."""
        known = self._bodies.get(id(body.value))
        if known is None:
            known = self._bodies[id(body.value)] = FlowText(
                kind="flownode" if self._parent["kind"] in DEPLOYED else "flowpreview",
                value=definition.encoded(body.value),
                status=b"",
            )
        first = status.first_status(body.value, failure_id=body.failure_id)
        return replace(known, status=status.encoded(first))


def _script(connection: Connection, workspace: str, at: ScriptAt) -> Row:
    if at.hash:
        return scripts.version(connection, workspace, at.hash)
    return scripts.runnable(connection, workspace, at.path)


def _blank(parent: Row, asked: Push, args: str, now_s: float) -> dict[str, Any]:
    """The columns that every step has, whatever it runs."""
    return {
        "id": asked.job_id,
        "workspace_id": parent["workspace_id"],
        "kind": "identity",
        "created_by": parent["created_by"],
        "created_at": now_s,
        "permissioned_as": parent["permissioned_as"],
        "email": parent["email"],
        "scheduled_for": now_s + asked.scheduled_in_s,
        "script_path": asked.path,
        "script_hash": None,
        "language": "",
        "code": None,
        "lock": None,
        "args": args,
        "tag": FLOW,
        "priority": asked.priority,
        "timeout_s": asked.timeout_s,
        "delivery": asked.delivery or "at_least_once",
        "lost_after_s": asked.lost_after_s,
        "replace": None,
        "not_after": None,
        "same_worker": 0,
        "parent_job": parent["id"],
        "retry": None,
        "concurrent_limit": None,
        "concurrency_time_window_s": None,
        "concurrency_key": None,
        "schedule_path": None,
        "flow_step_id": asked.module_id,
        "root_job": asked.root_job,
        "flow_innermost_root_job": asked.flow_innermost_root_job,
        "pre_run_error": asked.pre_run_error,
        "flow_version": None,
        "entrypoint": asked.entrypoint,
    }


def _of_script(script: Row, asked: Push, workspace: str, args: str) -> dict[str, Any]:
    limit = CodeOf(
        "",
        "",
        None,
        script["concurrent_limit"],
        script["concurrency_time_window_s"],
        script["concurrency_key"],
    )
    once = "at_most_once" in (asked.delivery, script["delivery"])
    return {
        "kind": "script",
        "script_path": script["path"],
        "script_hash": script["hash"],
        "language": script["language"],
        "timeout_s": script["timeout_s"] if asked.timeout_s is None else asked.timeout_s,
        "delivery": "at_most_once" if once else "at_least_once",
        "lost_after_s": script["lost_after_s"] if asked.lost_after_s is None else asked.lost_after_s,
        "replace": script["replace"],
        **_limit(limit, f"$workspace/script/{script['path']}", workspace, args),
    }


def _nameless(asked: Push) -> str:
    """A step of a flow without a path shares its places with no other run's."""
    return f"{asked.root_job}/{asked.module_id}"


def _limit(of: CodeOf | FlowText, otherwise: str, workspace: str, args: str) -> dict[str, Any]:
    if not of.concurrent_limit:
        return {}
    key = of.concurrency_key or otherwise
    return {
        "concurrent_limit": of.concurrent_limit,
        "concurrency_time_window_s": of.concurrency_time_window_s,
        "concurrency_key": push.checked_key(interpolate(key, workspace, push.checked_args(args.encode()))),
    }


def _tag(asked: Tags, found: str | None, language: str, workspace: str, args: str, rules: TagRules) -> Tag:
    """Raises `BadRequest` when it can be no tag, or another workspace's."""
    own = asked.own or found
    if asked.fixed:
        tag = asked.fixed
    elif own:
        tag = interpolate(own, workspace, push.checked_args(args.encode()) if "$args[" in own else {})
    elif asked.otherwise:
        tag = asked.otherwise
    else:
        return checked_tag(rules.default(OF_LANGUAGE.get(language, language) or FLOW, workspace))
    rules.require(workspace, tag)
    return checked_tag(tag)


def _work(row: dict[str, Any]) -> str:
    names = (
        "workspace_id",
        "kind",
        "script_path",
        "script_hash",
        "flow_version",
        "language",
        "code",
        "lock",
        "args",
    )
    return caching.work_of(*(row[name] for name in names))


def _cached(connection: Connection, work: str | None, asked: Push, now_s: float) -> Ended | None:
    """What the same work came to within `cache_ttl_s`."""
    if work is None or asked.cache_ttl_s is None:
        return None
    before = caching.done_before(connection, work, asked.cache_ttl_s, now_s)
    return None if before is None else Ended(success=True, result=OfJob(before))


def _end(connection: Connection, flow_id: str, job_id: str, ended: Ended, now_s: float, tell: Tell) -> None:
    """It has never been in the queue."""
    transitions.record_ended(
        connection,
        job_id,
        transitions.End(
            status="success" if ended.success else "failure",
            result=transitions.Storable(text_of(connection, ended.result)),
            now_s=now_s,
            skipped=ended.skipped,
        ),
    )
    outcome = parents.Outcome(ok=ended.success, skipped=ended.skipped)
    parents.note(connection, flow_id, parents.ENDED, tell, job_id, outcome)
