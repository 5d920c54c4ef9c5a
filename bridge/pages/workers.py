"""/workers: which sites are up, what each holds, what is stuck."""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from bridge.pages.site import Site
from bridge.tokens.model import Identity


class WorkerPages:
    def __init__(self, site: Site) -> None:
        self._site = site

    def routes(self) -> list[Route]:
        return [self._site.page("/workers", self._workers)]

    async def _workers(self, request: Request, who: Identity) -> Response:
        return self._site.render(request, "workers.html", who, {})
