"""A result as it came, and as it is kept."""

import json
from contextlib import suppress

from bridge.errors import BadRequest
from bridge.jobs.model import Completion, error_object
from bridge.jobs.transitions import Storable
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
