"""What the original's agents may ask for and we do not have: told in words, not by a bare 404."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.errors import NotFound
from bridge.tokens.gate import Gate
from bridge.web.described import Described, Method

ALL: Final = "/api/agent_workers"
IN: Final = "/api/w/{workspace}"
VOLUME: Final = f"{IN}/volumes/{{volume}}"

NO_FLOWS: Final = "we hand out no jobs of this kind: a job's code travels with it, in raw_code"
NO_DATA: Final = "we run no SQL, duckdb or dbt jobs, so there are no data connections"
NO_VOLUMES: Final = "there are no volumes: a site's data stay at the site, so use its own folders"

# Rows of agent-api.md 2.1, with docs/compatibility.md for people. The tests compare the two.
UNSERVED: Final[tuple[tuple[Method, str, str], ...]] = (
    ("GET", f"{ALL}/flow_script/{{id}}", NO_FLOWS),
    ("GET", f"{ALL}/app_script/{{id}}", NO_FLOWS),
    ("GET", f"{IN}/agent_workers/get_ducklake/{{name}}", NO_DATA),
    ("GET", f"{IN}/agent_workers/get_datatable_resource/{{name}}", NO_DATA),
    ("POST", f"{IN}/agent_workers/record_materialization", NO_DATA),
    ("POST", f"{ALL}/dbt_graph/{{workspace}}", NO_DATA),
    ("POST", f"{VOLUME}/begin", NO_VOLUMES),
    ("GET", f"{VOLUME}/file/{{path:path}}", NO_VOLUMES),
    ("PUT", f"{VOLUME}/file/{{path:path}}", NO_VOLUMES),
    ("POST", f"{VOLUME}/commit", NO_VOLUMES),
)


class Unserved:
    def __init__(self, gate: Gate, why: str) -> None:
        self._gate = gate
        self._why = why

    async def refuse(self, request: Request) -> Response:
        """Not served here; the answer says why."""
        if not request.url.path.partition("/volumes/")[1]:  # a volume is asked for with the job's token
            await self._gate.agent(request)
        raise NotFound(f"not served: {self._why}")


def routes(gate: Gate) -> list[Described]:
    return [Described(method, path, Unserved(gate, why).refuse) for method, path, why in UNSERVED]
