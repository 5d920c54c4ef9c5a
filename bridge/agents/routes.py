"""What people ask about the workers."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from bridge.agents.api import API_VERSION
from bridge.agents.model import TagsAsked, WorkerRow, WorkersFilter
from bridge.agents.service import Workers
from bridge.jobs.details import Details
from bridge.jobs.tag_rules import TagRules
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, text_reply, typed_query
from bridge.web.described import TEXT, Described

LANGUAGES: Final = ["bash", "python3"]


class WorkerRoutes:
    def __init__(self, workers: Workers, details: Details, tags: TagRules, gate: Gate) -> None:
        self._tags = tags
        self._workers = workers
        self._details = details
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described(
                "GET", "/api/workers/list", self.list_workers, query=WorkersFilter, gives=list[WorkerRow]
            ),
            Described(
                "GET", "/api/workers/exists_workers_with_tags", self.tags_served,
                query=TagsAsked, gives=dict[str, bool],
            ),
            Described("GET", "/api/workers/queue_counts", self.queue_counts, gives=dict[str, int]),
            Described(
                "GET", "/api/workers/queue_running_counts", self.running_counts, gives=dict[str, int]
            ),
            Described("GET", "/api/workers/custom_tags", self.custom_tags, gives=list[str]),
            Described(
                "GET", "/api/w/{workspace}/workers/custom_tags", self.custom_tags_of, gives=list[str]
            ),
            Described(
                "GET", "/api/workers/is_default_tags_per_workspace", self.own_defaults, gives=bool
            ),
            Described("GET", "/api/workers/get_default_tags", default_tags, gives=list[str]),
            Described("GET", "/api/version", version, gives=str, media=TEXT),
            Described("GET", "/api/health/status", health, gives=dict[str, str]),
            Described("GET", "/api/min_keep_alive_version", min_keep_alive, gives=dict[str, str]),
            Described("GET", "/api/settings/min_keep_alive_version", min_keep_alive_of_old, gives=str),
        ]  # fmt: skip

    async def list_workers(self, request: Request) -> Response:
        """The workers heard of in the last `ping_since` seconds."""
        await self._gate.person(request)
        return json_reply(await self._workers.heard_since(typed_query(request, WorkersFilter)))

    async def tags_served(self, request: Request) -> Response:
        """Which of these tags some worker serves."""
        await self._gate.person(request)
        served = await self._workers.tags_served()
        asked = [tag for tag in typed_query(request, TagsAsked).tags.split(",") if tag]
        return json_reply({tag: tag in served for tag in asked})

    async def custom_tags(self, request: Request) -> Response:
        """The listed tags as they were written, with the workspaces that may use them."""
        await self._gate.person(request)
        return json_reply(self._tags.listed())

    async def custom_tags_of(self, request: Request) -> Response:
        """The listed tags that a workspace may use."""
        await self._gate.member(request)
        return json_reply(self._tags.of(request.path_params["workspace"]))

    async def own_defaults(self, request: Request) -> Response:
        """Whether some workspaces have default tags of their own."""
        await self._gate.anyone(request)
        return json_reply(self._tags.has_own_defaults)

    async def queue_counts(self, request: Request) -> Response:
        """How many due jobs wait, by tag."""
        await self._gate.person(request)
        counts = await self._details.counts()
        return json_reply({tag: waiting for tag, (waiting, _) in counts.items() if waiting})

    async def running_counts(self, request: Request) -> Response:
        """How many jobs run, by tag."""
        await self._gate.person(request)
        counts = await self._details.counts()
        return json_reply({tag: running for tag, (_, running) in counts.items() if running})


async def default_tags(_: Request) -> Response:
    """The tags that jobs get from the languages we run."""
    return json_reply(LANGUAGES)


async def version(_: Request) -> Response:
    """The version of the agent API that is served."""
    return text_reply(f"Orvanta Edge v{API_VERSION}")


async def health(_: Request) -> Response:
    """200 while the bridge serves."""
    return json_reply({"status": "healthy"})


async def min_keep_alive(_: Request) -> Response:
    """The lowest versions that need not be renewed."""
    return json_reply({"worker": API_VERSION, "agent": API_VERSION})


async def min_keep_alive_of_old(_: Request) -> Response:
    """As min_keep_alive_version, for older agents."""
    return json_reply(API_VERSION)


def routes(workers: Workers, details: Details, tags: TagRules, gate: Gate) -> list[Described]:
    return WorkerRoutes(workers, details, tags, gate).all()
