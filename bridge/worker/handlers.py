"""Which handler runs a job, by its kind."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from bridge.jobs.lanes import DEPENDENCY_KINDS, FLOW_KINDS
from bridge.jobs.model import Completion, Pulled, error_object
from bridge.jobs.service import Jobs
from bridge.worker.held import Handler, Held

SCRIPT_KINDS: Final = frozenset({"preview", "script", "flowscript"})

Run = Callable[[Pulled], Awaitable[None]]


def by_kind(scripts: Handler, turns: Handler, dependencies: Handler) -> Mapping[str, Handler]:
    of = {SCRIPT_KINDS: scripts, FLOW_KINDS: turns, DEPENDENCY_KINDS: dependencies}
    return {kind: handler for kinds, handler in of.items() for kind in kinds}


def to_the_end(run: Run) -> Handler:
    """For what takes a moment, and hears of a cancel by itself."""

    async def handle(held: Held) -> None:
        await run(held.job)

    return handle


def until_stopped(run: Run, jobs: Jobs) -> Handler:
    """For what takes long: a cancel ends it where it stands."""

    async def handle(held: Held) -> None:
        running, asked = asyncio.ensure_future(run(held.job)), asyncio.ensure_future(held.stop.requested())
        try:
            await asyncio.wait((running, asked), return_when=asyncio.FIRST_COMPLETED)
            if running.done():
                running.result()
                return
        finally:
            asked.cancel()
            running.cancel()
            await asyncio.wait((running,))
        if not held.is_lost:
            await jobs.complete(held.job.workspace, held.job.job_id, _canceled(held))

    return handle


def _canceled(held: Held) -> Completion:
    by, reason = held.stop.by or "", held.stop.reason
    error = error_object("Canceled", f"Job canceled: {reason} by {by}", reason=reason, canceler=by)
    return Completion(
        success=False, result=json.dumps(error).encode(), canceled_by=by, canceled_reason=reason or None
    )
