"""The one place where a request's token becomes a right."""

from collections.abc import Awaitable, Callable
from typing import Final

from starlette.requests import Request

from agent.wire.claims import Claims
from bridge.errors import NotAuthorized, PermissionDenied
from bridge.tokens import sessions
from bridge.tokens.model import Identity
from bridge.tokens.service import Tokens
from bridge.tokens.workspaces import Workspaces

SCHEME: Final = "bearer"

VerifyAgent = Callable[[str], Awaitable[Claims | None]]


def bearer_of(request: Request) -> str:
    """Raises `NotAuthorized` when the request carries no bearer token."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != SCHEME or not token.strip():
        raise NotAuthorized("Unauthorized: send the header Authorization: Bearer <token>")
    return token.strip()


def token_of(request: Request) -> str:
    """A person's or a job's: the bearer token, else that of the browser's session.

    Raises `NotAuthorized` without one, `PermissionDenied` when another site makes the session speak.
    """
    if "authorization" not in request.headers and (token := sessions.token_in(request)) is not None:
        return token
    return bearer_of(request)


class Gate:
    def __init__(self, tokens: Tokens, workspaces: Workspaces, verify_agent: VerifyAgent) -> None:
        """`verify_agent`: what an agent's bearer proves, on the device that shows it."""
        self._tokens = tokens
        self._verify_agent = verify_agent
        self._workspaces = workspaces

    async def anyone(self, request: Request) -> Identity:
        """Whoever holds a token of the people's API, a job included."""
        return await self._tokens.identify(token_of(request))

    async def person(self, request: Request) -> Identity:
        """A person: a job must not make tokens that outlive it."""
        identity = await self.anyone(request)
        if identity.workspace is not None:
            raise PermissionDenied("a job token may not do this; use a person's token")
        return identity

    async def superadmin(self, request: Request) -> Identity:
        identity = await self.person(request)
        if not identity.superadmin:
            raise PermissionDenied("only a superadmin may do this")
        return identity

    async def stranger(self, request: Request) -> None:
        """Anybody, in a workspace that there is: what is asked proves itself. Raises `NotFound`."""
        await self._workspaces.require(request.path_params["workspace"])

    async def member_or_none(self, request: Request) -> Identity | None:
        """As `member`; None for who shows no token, or one that does not hold."""
        try:
            return await self.member(request)
        except NotAuthorized:
            return None

    async def member(self, request: Request) -> Identity:
        """Somebody who may act in the workspace of the path, on the job of the path if it names one."""
        identity = await self.anyone(request)
        workspace: str = request.path_params["workspace"]
        if identity.workspace not in (None, workspace):
            raise PermissionDenied(f"this token is for workspace {identity.workspace!r} only")
        if identity.job_id not in (None, request.path_params.get("job_id")):
            raise PermissionDenied("this token reaches its own job only")
        await self._workspaces.require(workspace)
        return identity

    async def agent(self, request: Request) -> Claims:
        claims = await self._verify_agent(bearer_of(request))
        if claims is None:
            raise NotAuthorized("Unauthorized")
        return claims

    async def until_ended(self, claims: Claims) -> None:
        """Returns once the agent's token no longer holds."""
        await self._tokens.until_ended(claims)
