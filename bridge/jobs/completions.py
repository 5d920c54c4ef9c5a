"""Says that a job has its result: in the log, and in what is counted."""

import structlog

from bridge.jobs.model import Completion
from bridge.metrics.figures import JOBS_COMPLETED

log = structlog.get_logger()


def note_completed(job_id: str, completion: Completion) -> None:
    """Once, by whoever recorded it."""
    status = "success" if completion.success else "canceled" if completion.canceled_by else "failure"
    JOBS_COMPLETED.labels(status).inc()
    log.info("job.completed", job_id=job_id, success=completion.success)
