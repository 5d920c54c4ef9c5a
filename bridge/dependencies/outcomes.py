"""How a job that resolves something ends, and what it says meanwhile."""

import json
from typing import Final

from bridge.dependencies.tools import without_passwords
from bridge.jobs.model import Completion, Pulled, error_object
from bridge.jobs.service import Jobs

SHOWN_MAX_CHARS: Final = 20_000  # of why there is no lock


def succeeded(**more: object) -> Completion:
    result = {"status": "Successful lock file generation", **more}
    return Completion(success=True, result=json.dumps(result).encode())


def failed(why: str) -> Completion:
    """No retry: what is in the way is mended by somebody, who then deploys again."""
    result = json.dumps(error_object("LockFailed", why)).encode()
    return Completion(success=False, result=result, may_retry=False)


async def say_of(jobs: Jobs, job: Pulled, text: str) -> None:
    """Add to the job's log."""
    await jobs.append_log(job.workspace, job.job_id, without_passwords(text))
