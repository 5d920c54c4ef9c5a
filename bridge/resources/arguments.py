"""A job's arguments, resolved in the moment it is handed out: a site has no link when the job starts."""

from dataclasses import replace

import msgspec
from msgspec import Raw

from agent.wire.agent_api import state_path
from agent.wire.hidden import listed
from bridge.errors import NotFound
from bridge.jobs.arguments import Unresolved
from bridge.jobs.model import Pulled, rfc3339
from bridge.resources.interpolation import Interpolation, may_name
from bridge.variables.vault import Unreadable


class Arguments:
    """The store keeps the names, so lists and records never show what they stand for."""

    def __init__(self, interpolation: Interpolation, base_url: str) -> None:
        self._interpolation = interpolation
        self._base_url = base_url

    async def resolve(self, job: Pulled) -> Pulled:
        """The job with its arguments resolved. Raises `Unresolved` that names the argument at fault."""
        if not may_name(job.args):
            return job
        args = msgspec.json.decode(job.args, type=dict[str, Raw])
        reserved = self._reserved(job)
        secrets: list[str] = []
        for name, text in args.items():
            if not may_name(bytes(text)):
                continue  # keeps its text, to the last digit
            try:
                found = await self._interpolation.resolved(job.workspace, bytes(text), reserved)
            except (NotFound, Unreadable) as error:
                raise Unresolved(f"argument `{name}`: {error}") from error
            args[name] = Raw(found.text)
            secrets += found.secrets
        return replace(job, args=msgspec.json.encode(args), hidden=tuple(listed(secrets)))

    def _reserved(self, job: Pulled) -> dict[str, str]:
        """The reserved variables that the cluster knows (agent-api.md 7.2)."""
        return {
            "WM_WORKSPACE": job.workspace,
            "WM_TOKEN": job.token,
            "WM_EMAIL": job.email,
            "WM_USERNAME": job.created_by,
            "WM_BASE_URL": self._base_url,
            "WM_JOB_ID": job.job_id,
            "WM_SCHEDULED_FOR": rfc3339(job.scheduled_for_s) or "",
            "WM_JOB_PATH": job.path or "",
            "WM_SCHEDULE_PATH": job.schedule_path or "",
            "WM_PERMISSIONED_AS": job.permissioned_as,
            "WM_STATE_PATH": state_path(
                job.path, job.permissioned_as, job.created_by, is_scheduled=job.schedule_path is not None
            ),
        }
