"""Ends a job that nobody runs: recorded by the cluster with our own error, then closed in the ledger."""

import json
from collections.abc import Mapping

from agent.clock import Clock
from agent.wire.messages import Result
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.sources.source import Source


async def close_unrun(
    source: Source,
    ledger: Ledger,
    clock: Clock,
    custody: Custody,
    error: Mapping[str, str],
    *,
    canceled_by: str | None = None,
    canceled_reason: str | None = None,
    outcome: str | None = None,
) -> None:
    """Custody ends when this returns (hop 6). Raises `ClusterDown`; then nothing is closed."""
    result = Result(
        job_id=custody.job_id,
        attempt=custody.attempt,
        workspace=custody.workspace,
        success=False,
        document=json.dumps(error).encode(),
        finished_at=clock.wall_s(),
        canceled_by=canceled_by,
        canceled_reason=canceled_reason,
    )
    await source.send_result(custody, result, result.document)
    outcome = outcome or ("failure" if canceled_by is None else "canceled")
    await ledger.close((custody.job_id, custody.attempt), outcome, finished_while_down=False)
