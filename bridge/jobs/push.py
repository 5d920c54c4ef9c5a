"""An order becomes a job, inside the writer's transaction."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec
from msgspec import Raw

from bridge.errors import BadRequest
from bridge.jobs import parents, retries, scripts
from bridge.jobs.ids import checked_job_id, new_job_id
from bridge.jobs.lanes import FLOW, lane_of
from bridge.jobs.model import Code, Delivery, FlowText, Order, Replace, RunOptions, ScriptPath, ToResolve
from bridge.jobs.tag_rules import TagRules
from bridge.jobs.tags import assign, interpolate
from bridge.store.statements import queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("jobs.sql"))
INIT_TAG: Final = "init_script"
PERIODIC_TAG: Final = "periodic_bash_script"
_PYTHON: Final = re.compile(r"#!.*?\bpython[\d.]*(?:\s|$)")
INIT_WORKSPACE: Final = "admins"
KEY_MAX_CHARS: Final = 500  # of a concurrency key; with its tag it stays under what PostgreSQL's indexes take


OF_NO_FLOW: Final = dict.fromkeys(
    ("flow_step_id", "root_job", "flow_innermost_root_job", "pre_run_error", "flow_version", "entrypoint")
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Runnable:
    """What an order comes down to once its script is found."""

    kind: str
    language: str  # empty: of a flow
    code: str | None = None
    lock: str | None = None
    path: str | None
    script_hash: str | None = None
    flow_version: int | None = None
    tag: str | None
    timeout_s: int | None = None
    priority: int | None = None
    delivery: Delivery | None = None
    lost_after_s: int | None = None
    replace: Replace | None = None
    concurrent_limit: int | None = None
    concurrency_time_window_s: int | None = None
    concurrency_key: str | None = None


def push(connection: Connection, order: Order, tags: TagRules, now_s: float) -> tuple[str, str]:
    """The new job's id and its lane. Raises `BadRequest` and `NotFound`; then there is no job."""
    options = order.options
    job_id = _free_id(connection, options.job_id, now_s)
    found = _resolve(connection, order)
    args = checked_args(order.args)
    scheduled_for = _scheduled_for(options, now_s)
    delivery = _strictest(options.delivery, found.delivery)
    tag = assign(options.tag or found.tag, found.language or FLOW, order.workspace, args, tags)
    row = {
        "id": job_id,
        "workspace_id": order.workspace,
        "kind": found.kind,
        "created_by": order.created_by,
        "created_at": now_s,
        "permissioned_as": order.permissioned_as,
        "email": order.email,
        "scheduled_for": scheduled_for,
        "script_path": found.path,
        "script_hash": found.script_hash,
        "language": found.language,
        "code": found.code,
        "lock": found.lock,
        "args": order.args.decode() if args else "{}",
        "tag": tag,
        "priority": options.priority if options.priority is not None else found.priority,
        "timeout_s": options.timeout if options.timeout is not None else found.timeout_s,
        "delivery": delivery,
        "lost_after_s": options.lost_after if options.lost_after is not None else found.lost_after_s,
        "replace": _least_replaced(options.replace, found.replace),
        "not_after": _not_after(options),
        "same_worker": 0,
        "parent_job": options.parent_job,
        "retry": _retry(options.retry, delivery),
        "concurrent_limit": found.concurrent_limit,
        "concurrency_time_window_s": found.concurrency_time_window_s,
        "concurrency_key": _concurrency_key(found, order.workspace, args),
        "schedule_path": order.schedule_path,
        "flow_version": found.flow_version,
    }
    insert(connection, row, state="ready" if scheduled_for <= now_s else "later")
    if isinstance(order.source, FlowText):
        parents.begin(connection, job_id, order.source)
    return job_id, lane_of(found.kind, tag)


def push_init(connection: Connection, worker: str, content: str, now_s: float) -> str:
    """A worker's init script: running already, and for that worker alone (agent-api.md 6.1)."""
    return _push_own(connection, worker, content, now_s, (f"init_script_{worker}", INIT_TAG))


def push_periodic(connection: Connection, worker: str, content: str, now_s: float) -> str:
    """As `push_init`, once for every turn of a worker's periodic script (agent-api.md 6.2)."""
    path = f"periodic_script_{worker}_{int(now_s)}"
    return _push_own(connection, worker, content, now_s, (path, PERIODIC_TAG))


def _push_own(
    connection: Connection, worker: str, content: str, now_s: float, path_and_tag: tuple[str, str]
) -> str:
    job_id = new_job_id(now_s)
    path, tag = path_and_tag
    row = {
        "id": job_id,
        "workspace_id": INIT_WORKSPACE,
        "kind": "preview",
        "created_by": worker,
        "created_at": now_s,
        "permissioned_as": "u/worker",
        "email": "worker@orvanta.local",
        "scheduled_for": now_s,
        "script_path": path,
        "script_hash": None,
        "language": "python3" if _PYTHON.match(content) else "bash",
        "code": content,
        "lock": None,
        "args": "{}",
        "tag": tag,
        "priority": None,
        "timeout_s": None,
        "delivery": "at_least_once",
        "lost_after_s": None,
        "replace": None,
        "not_after": None,
        "same_worker": 1,
        "parent_job": None,
        "retry": None,
        "concurrent_limit": None,
        "concurrency_time_window_s": None,
        "concurrency_key": None,
        "schedule_path": None,
    }
    insert(connection, row, state="running", worker=worker, started_at=now_s)
    return job_id


def checked_args(text: bytes) -> dict[str, Raw]:
    """Raises `BadRequest` when the arguments are not an object."""
    try:
        text.decode()  # raw values are kept unread, so their UTF-8 is checked here
        return msgspec.json.decode(text, type=dict[str, Raw] | None) or {}
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise BadRequest(f"the arguments must be a JSON object: {error}") from error


def insert(connection: Connection, row: dict[str, Any], **queue: Any) -> None:
    """The job with these columns, and its place in the queue."""
    connection.execute(SQL["insert_job"], {**OF_NO_FLOW, **row})
    place = {"worker": None, "started_at": None, "lane": lane_of(row["kind"], row["tag"]), **queue}
    connection.execute(SQL["insert_queue"], {**row, **place})


def insert_all(
    connection: Connection, jobs: Sequence[Mapping[str, Any]], places: Sequence[Mapping[str, Any]]
) -> None:
    """Jobs with all their columns; and the places in the queue of those that have not ended."""
    connection.executemany(SQL["insert_job"], jobs)
    connection.executemany(
        SQL["insert_queue"], [{"worker": None, "started_at": None, **one} for one in places]
    )


def _free_id(connection: Connection, wanted: str | None, now_s: float) -> str:
    if wanted is None:
        return new_job_id(now_s)
    job_id = checked_job_id(wanted)
    if connection.execute(SQL["same_id"], {"id": job_id}).fetchone() is not None:
        raise BadRequest(f"job_id {job_id} exists already; a job is pushed once")
    return job_id


def _resolve(connection: Connection, order: Order) -> Runnable:
    source = order.source
    if isinstance(source, Code):
        return Runnable(
            kind="preview",
            language=source.language,
            code=source.content,
            lock=source.lock,
            path=source.path,
            tag=source.tag,
        )
    if isinstance(source, FlowText):
        return _flow(source, order.options)
    if isinstance(source, ToResolve):
        return Runnable(
            kind=source.kind,
            language=source.language,
            code=source.code,
            lock=None,
            path=source.path,
            script_hash=source.script_hash,
            tag=source.tag,
        )
    if isinstance(source, ScriptPath):
        row = scripts.runnable(connection, order.workspace, source.path)
    else:
        row = scripts.version(connection, order.workspace, source.hash)
    return Runnable(
        kind="script",
        language=row["language"],
        code=None,
        lock=None,
        path=row["path"],
        script_hash=row["hash"],
        tag=row["tag"],
        timeout_s=row["timeout_s"],
        priority=row["priority"],
        delivery=row["delivery"],
        lost_after_s=row["lost_after_s"],
        replace=row["replace"],
        concurrent_limit=row["concurrent_limit"],
        concurrency_time_window_s=row["concurrency_time_window_s"],
        concurrency_key=row["concurrency_key"],
    )


def _flow(source: FlowText, options: RunOptions) -> Runnable:
    if options.retry:
        raise BadRequest("a flow is not retried as a whole: give its steps a retry")
    return Runnable(
        kind=source.kind,
        language="",
        path=source.path,
        flow_version=source.version,
        tag=source.tag,
        timeout_s=source.timeout_s,
        priority=source.priority,
        concurrent_limit=source.concurrent_limit if source.concurrency_key or source.path else None,
        concurrency_time_window_s=source.concurrency_time_window_s,
        concurrency_key=source.concurrency_key or f"$workspace/flow/{source.path}",
    )


def _concurrency_key(found: Runnable, workspace: str, args: Mapping[str, Raw]) -> str | None:
    """Interpolated as a tag is; without one of its own each script is a key."""
    if found.concurrent_limit is None:
        return None
    return checked_key(
        interpolate(found.concurrency_key or f"$workspace/script/{found.path}", workspace, args)
    )


def checked_key(key: str) -> str:
    """A concurrency key as it may be kept. Raises `BadRequest`."""
    if len(key) > KEY_MAX_CHARS:
        raise BadRequest(f"the concurrency key has {len(key)} characters, and {KEY_MAX_CHARS} is the most")
    return key


def _strictest(*asked: Delivery | None) -> Delivery:
    """Run or script: who asks for at_most_once gets it. The bridge asks the tag's policy too."""
    return "at_most_once" if "at_most_once" in asked else "at_least_once"


def _retry(asked: str | None, delivery: Delivery) -> str | None:
    policy = retries.parsed(asked)
    if policy is None:
        return None
    if delivery == "at_most_once":  # I2: a second job of the same wish would begin its work a second time
        raise BadRequest(
            "an at_most_once job is not retried: leave out retry, or let the script retry itself"
        )
    return msgspec.json.encode(policy).decode()


def _least_replaced(*asked: Replace | None) -> Replace | None:
    return "never" if "never" in asked else next((one for one in asked if one), None)


def _scheduled_for(options: RunOptions, now_s: float) -> float:
    if options.scheduled_for is not None:
        if options.scheduled_for.tzinfo is None:
            raise BadRequest("scheduled_for needs a time zone, for example 2030-01-01T00:00:00Z")
        return options.scheduled_for.timestamp()
    return now_s + (options.scheduled_in_secs or 0)


def _not_after(options: RunOptions) -> float | None:
    if options.not_after is None:
        return None
    if options.not_after.tzinfo is None:
        raise BadRequest("not_after needs a time zone, for example 2030-01-01T00:00:00Z")
    return options.not_after.timestamp()
