"""The way in and out, by the same session as the API's."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from bridge.audit.service import Audit
from bridge.errors import NotAuthorized, NotYet, PermissionDenied
from bridge.pages.forms import form_of, own_path
from bridge.pages.site import Site
from bridge.tokens import sessions
from bridge.tokens.gate import token_of
from bridge.tokens.model import Identity
from bridge.tokens.service import LOGIN_LIFE_S, Tokens

HOME = "/workers"


class LoginPages:
    def __init__(self, site: Site, tokens: Tokens, audit: Audit) -> None:
        self._site = site
        self._tokens = tokens
        self._audit = audit

    def routes(self) -> list[Route]:
        return [
            Route("/", _home, methods=["GET"]),
            Route("/login", self._form, methods=["GET"]),
            Route("/login", self._login, methods=["POST"]),
            self._site.page_for_people("/logout", self._logout, "POST"),
        ]

    async def _form(self, request: Request) -> Response:
        return self._shown(request, own_path(request.query_params.get("next", ""), HOME))

    async def _login(self, request: Request) -> Response:
        try:
            sessions.refuse_other_sites(request)
        except PermissionDenied as error:
            return self._site.refused(request, error)
        form = await form_of(request)
        email, back = form.text("email"), own_path(form.text("next"), HOME)
        address = "" if request.client is None else request.client.host
        try:
            token = await self._tokens.login(email, form.secret("password"), address)
        except NotAuthorized:
            return self._shown(request, back, email, "This e-mail and password do not belong together.", 401)
        except NotYet as error:
            return self._shown(request, back, email, str(error), 429)
        await self._audit.note(email, "users.login", email, address=address)
        answer = RedirectResponse(back, 303)
        sessions.begin(request, answer, token, LOGIN_LIFE_S)
        return answer

    def _shown(
        self, request: Request, back: str, email: str = "", wrong: str = "", status: int = 200
    ) -> Response:
        values = {"back": back, "email": email, "wrong": wrong}
        return self._site.render(request, "login.html", None, values, status)

    async def _logout(self, request: Request, _: Identity) -> Response:
        await self._tokens.logout(token_of(request))
        answer = RedirectResponse("/login", 303)
        sessions.end(request, answer)
        return answer


async def _home(_: Request) -> Response:
    return RedirectResponse(HOME, 303)
