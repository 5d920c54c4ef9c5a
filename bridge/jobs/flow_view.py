"""What the jobs' room needs of whoever knows flows, to show a flow's job whole."""

from typing import Protocol


class FlowView(Protocol):
    async def status(self, workspace: str, job_id: str) -> bytes | None:
        """The `flow_status`, JSON; None: the job is no flow."""
        ...

    async def raw_flow(self, workspace: str, job_id: str) -> bytes | None:
        """What the flow runs, JSON; None: the job is no flow."""
        ...
