"""What all pages share: who may see them, how they look when something is wrong, and where they stand."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final
from urllib.parse import quote

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.errors import BadRequest, BridgeError, NotAuthorized, NotFound, PermissionDenied
from bridge.pages.rendering import Rendering
from bridge.tokens.gate import Gate
from bridge.tokens.model import Identity

NAVIGATION: Final = (
    ("/workers", "Workers"),
    ("/runs", "Runs"),
    ("/flows", "Flows"),
    ("/dead", "Dead letters"),
    ("/audit", "Audit"),
)
SHOWN: Final = {
    BadRequest: 400,
    NotAuthorized: 401,
    PermissionDenied: 403,
    NotFound: 404,
}  # what a person may have caused
STREAM: Final = "text/event-stream"

Shown = Callable[[Request, Identity], Awaitable[Response]]
ShownToAll = Callable[[Request, Identity | None], Awaitable[Response]]
MayUse = Callable[[Request], Awaitable[Identity]]


class LogInFirst(Exception):
    """What has this address is for people who have logged in."""


class Site:
    """Made once; every room of pages is handed it."""

    def __init__(self, gate: Gate, rendering: Rendering) -> None:
        self._gate = gate
        self._rendering = rendering
        self._places: set[str] = set()

    def page(self, path: str, endpoint: Shown, *methods: str) -> Route:
        """For superadmins; without `methods` for GET. Who is not logged in is sent to /login and back."""
        return self._route(path, endpoint, methods, self._gate.superadmin)

    def page_for_people(self, path: str, endpoint: Shown, *methods: str) -> Route:
        """For everybody who can log in."""
        return self._route(path, endpoint, methods, self._gate.person)

    def page_for_anybody(self, path: str, endpoint: ShownToAll, *methods: str) -> Route:
        """Whoever has its address, in the workspace of it; the endpoint judges that. None: not logged in."""

        async def guarded(request: Request) -> Response:
            try:
                await self._gate.stranger(request)
                return await endpoint(request, await self._gate.member_or_none(request))
            except LogInFirst:
                return _to_login(request)
            except (BadRequest, NotAuthorized, PermissionDenied, NotFound) as error:
                return self.refused(request, error)

        return Route(path, guarded, methods=list(methods) or ["GET"])

    def _route(self, path: str, endpoint: Shown, methods: tuple[str, ...], may: MayUse) -> Route:
        self._places.add(path)

        async def guarded(request: Request) -> Response:
            try:
                return await endpoint(request, await may(request))
            except NotAuthorized:
                return _to_login(request)
            except (BadRequest, PermissionDenied, NotFound) as error:
                return self.refused(request, error)

        return Route(path, guarded, methods=list(methods) or ["GET"])

    def render(
        self,
        request: Request,
        template: str,
        who: Identity | None,
        values: Mapping[str, object],
        status: int = 200,
    ) -> Response:
        """A page, or a fragment of one (its name begins with `_`), with what all of them need."""
        return self._rendering.answer(request, template, self._around(request, who) | dict(values), status)

    def over(
        self, request: Request, fragment: str, who: Identity, values: Mapping[str, object], status: int = 200
    ) -> Response:
        """A fragment that a script lays over its page; without one it is a page by itself."""
        template = fragment if _by_script(request) else "over.html"
        return self.render(request, template, who, {"inside": fragment, **values}, status)

    def text(self, template: str, values: Mapping[str, object]) -> str:
        """A fragment, for a stream."""
        return self._rendering.text(template, values)

    def refused(self, request: Request, error: BridgeError) -> Response:
        """A page that says what is wrong; a fragment of one, where a script asked for one."""
        status = next(number for kind, number in SHOWN.items() if isinstance(error, kind))
        template = "_refused.html" if _by_script(request) else "refused.html"
        return self.render(request, template, None, {"why": str(error), "status": status}, status)

    def _around(self, request: Request, who: Identity | None) -> dict[str, object]:
        here = request.url.path
        return {
            "navigation": [
                {"path": path, "name": name, "is_here": _is_at(here, path)}
                for path, name in NAVIGATION
                if path in self._places
            ],
            "username": None if who is None else who.username,
        }


def _is_at(here: str, place: str) -> bool:
    """One of many stands beside their list: /run/<id> at /runs."""
    return here == place or here.startswith((f"{place}/", f"{place.removesuffix('s')}/"))


def _by_script(request: Request) -> bool:
    return "hx-request" in request.headers


def _to_login(request: Request) -> Response:
    """A script is told to leave the page; a stream ends for good (204), so that it is not asked for again."""
    if STREAM in request.headers.get("accept", ""):
        return Response(status_code=204)
    here = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    if _by_script(request):
        return Response("Unauthorized", 401, {"hx-redirect": "/login"})
    back = here if request.method == "GET" else "/"
    return RedirectResponse(f"/login?next={quote(back, safe='')}", 303)
