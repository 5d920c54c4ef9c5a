"""What a worker is told of its job, and its result as it is kept."""

import json
from contextlib import suppress

from bridge.errors import BadRequest
from bridge.jobs.model import Completion, PingReply, error_object
from bridge.jobs.transitions import Storable
from bridge.store.store import Row
from bridge.web.bodies import strict_json


def checked_result(completion: Completion) -> tuple[Completion, Storable]:
    """The result as JSON text that every reader understands, verbatim where it is already.

    What is no JSON at all becomes a failure that says so: a job must not stay open for it (I1).
    """
    text = completion.result
    with suppress(BadRequest):
        return completion, Storable(strict_json(text).decode())
    shown = text[:200].decode(errors="replace")
    error = error_object("BadResult", f"the worker sent a result that is not JSON: {shown}")
    return (
        Completion(success=False, result=b"", duration_ms=completion.duration_ms),
        Storable(json.dumps(error)),
    )


def ping_reply(row: Row | None) -> PingReply:
    """Without a row the job is not this worker's any more."""
    if row is None:
        return PingReply(canceled_by=None, canceled_reason=None, already_completed=True)
    return PingReply(
        canceled_by=row["canceled_by"], canceled_reason=row["canceled_reason"], already_completed=False
    )
