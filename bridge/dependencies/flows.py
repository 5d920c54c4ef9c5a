"""Sees to the locks of a flow's inline steps: what it can at once, the rest in one job for the whole version.

A flow runs at once, whatever its steps still miss: a step without a lock says itself what it needs.
"""

from functools import partial

import msgspec

from bridge.dependencies import flow_steps
from bridge.dependencies.finding import find_in
from bridge.dependencies.locks import SQL
from bridge.dependencies.settling import Settling
from bridge.flows.deployed import Version, head
from bridge.jobs.model import ToResolve
from bridge.jobs.scripts import Author
from bridge.store.bulletin import Tell
from bridge.store.store import Connection


class Arguments(msgspec.Struct):
    """Of a job that resolves a flow's steps."""

    flow_version: int


def push_flow_dependencies(
    settling: Settling, connection: Connection, flow: Version, now_s: float, tell: Tell
) -> bytes:
    """The value to store, with the locks that are known at once; for the others a job is pushed.

    To be called in the transaction that deploys this version.
    """
    value, is_missing = flow_steps.settled(
        flow.value, flow.path, partial(find_in, connection, flow.workspace)
    )
    if is_missing:
        source = ToResolve(
            kind="flowdependencies", tag=settling.tag(flow.workspace), language="", path=flow.path
        )
        args = {"flow_version": flow.version}
        author = Author(flow.by, "")
        job_id = settling.push(connection, flow.workspace, source, author, args, now_s, tell)
        connection.execute(SQL["await_flow_lock"], {"version": flow.version, "job_id": job_id})
    return value


class FlowLock(msgspec.Struct):
    """How the locks of a version stand; no job: nothing had to be looked up."""

    job_id: str | None = None
    lock_error_logs: str | None = None


def lock_of(connection: Connection, version: int) -> FlowLock:
    row = connection.execute(SQL["flow_lock"], {"version": version}).fetchone()
    return FlowLock() if row is None else FlowLock(row["job_id"], row["error"])


def lock_at(connection: Connection, workspace: str, path: str) -> FlowLock:
    """Of the newest version. Raises `NotFound`."""
    return lock_of(connection, head(connection, workspace, path)["version"])
