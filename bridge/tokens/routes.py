"""What people call about themselves, their tokens, and the workspaces."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from agent.wire.tokens import token_id
from bridge.audit.service import Audit
from bridge.tokens import sessions
from bridge.tokens.blacklist import BlacklistedToken, BlacklistFilter, BlacklistRow, WhitelistedToken
from bridge.tokens.gate import Gate, token_of
from bridge.tokens.model import Login, Member, NewAgentToken, NewPersonToken, NewWorkspace, Whoami, Workspace
from bridge.tokens.reserved import warning_of
from bridge.tokens.service import LOGIN_LIFE_S, Tokens
from bridge.tokens.workspaces import Workspaces
from bridge.web.bodies import json_reply, text_reply, typed_body, typed_query, unit
from bridge.web.described import TEXT, Described

IN: Final = "/api/w/{workspace}"
WARNING: Final = "Orvanta-Warning"


class TokenRoutes:
    def __init__(self, tokens: Tokens, workspaces: Workspaces, gate: Gate, audit: Audit) -> None:
        self._tokens = tokens
        self._workspaces = workspaces
        self._gate = gate
        self._audit = audit

    def all(self) -> list[Described]:
        return [
            Described("POST", "/api/auth/login", self.login, takes=Login, gives=str, media=TEXT),
            Described("POST", "/api/auth/logout", self.logout, gives=str, media=TEXT),
            Described("GET", "/api/users/whoami", self.whoami, gives=Whoami),
            Described(
                "POST", "/api/users/tokens/create", self.create_token,
                takes=NewPersonToken, gives=str, status=201, media=TEXT,
            ),
            Described(
                "POST", "/api/agent_workers/create_agent_token", self.create_agent_token,
                takes=NewAgentToken, gives=str,
            ),
            Described(
                "POST", "/api/agent_workers/blacklist_token", self.blacklist_token,
                takes=BlacklistedToken, gives=None,
            ),
            Described(
                "POST", "/api/agent_workers/remove_blacklist_token", self.remove_blacklist_token,
                takes=WhitelistedToken, gives=None,
            ),
            Described(
                "GET", "/api/agent_workers/list_blacklisted_tokens", self.blacklisted_tokens,
                query=BlacklistFilter, gives=list[BlacklistRow],
            ),
            Described("GET", f"{IN}/users/whoami", self.member, gives=Member),
            Described(
                "GET", f"{IN}/users/username_to_email/{{username}}", self.email_of, gives=str, media=TEXT
            ),
            Described("GET", "/api/workspaces/list", self.workspaces, gives=list[Workspace]),
            Described(
                "POST", "/api/workspaces/create", self.create_workspace,
                takes=NewWorkspace, gives=str, status=201, media=TEXT,
            ),
        ]  # fmt: skip

    async def login(self, request: Request) -> Response:
        """Exchange e-mail and password for a bearer token; a browser keeps it as its session."""
        sessions.refuse_other_sites(request)
        asked = await typed_body(request, Login)
        address = "" if request.client is None else request.client.host
        token = await self._tokens.login(asked.email, asked.password, address)
        await self._audit.note(asked.email, "users.login", asked.email, address=address)
        answer = text_reply(token)
        sessions.begin(request, answer, token, LOGIN_LIFE_S)
        return answer

    async def logout(self, request: Request) -> Response:
        """End the session: its token holds no more."""
        await self._gate.person(request)
        await self._tokens.logout(token_of(request))
        answer = text_reply("logged out")
        sessions.end(request, answer)
        return answer

    async def whoami(self, request: Request) -> Response:
        """Who the token belongs to."""
        identity = await self._gate.anyone(request)
        return json_reply(
            Whoami(email=identity.email, username=identity.username, super_admin=identity.superadmin)
        )

    async def create_token(self, request: Request) -> Response:
        """Make a further bearer token for oneself; it is shown once."""
        identity = await self._gate.person(request)
        asked = await typed_body(request, NewPersonToken)
        await self._audit.note(identity.username, "users.token.create", identity.email, label=asked.label)
        return text_reply(await self._tokens.create(identity, asked), 201)

    async def create_agent_token(self, request: Request) -> Response:
        """Make an agent token for a worker group and its tags; superadmins only.

        The header `Orvanta-Warning` says what is wrong with tags that are for normal workers.
        """
        identity = await self._gate.superadmin(request)
        asked = await typed_body(request, NewAgentToken)
        token = self._tokens.mint_agent_token(asked)
        warning = warning_of(asked.tags)
        more = {"warning": warning} if warning else {}
        await self._audit.note(
            identity.username, "agent_workers.token.create", token_id(token),
            worker_group=asked.worker_group, suffix=asked.suffix, tags=asked.tags, exp=asked.exp,
            shared=asked.shared, **more,
        )  # fmt: skip
        reply = json_reply(token)
        if warning:
            reply.headers[WARNING] = warning
        return reply

    async def blacklist_token(self, request: Request) -> Response:
        """Refuse an agent token from now on; superadmins only."""
        identity = await self._gate.superadmin(request)
        asked = await typed_body(request, BlacklistedToken)
        await self._audit.note(identity.username, "agent_workers.blacklist.add", token_id(asked.token))
        await self._tokens.blacklist.add(asked, identity.username)
        return unit()

    async def remove_blacklist_token(self, request: Request) -> Response:
        """Take an agent token off the blacklist; superadmins only."""
        identity = await self._gate.superadmin(request)
        asked = await typed_body(request, WhitelistedToken)
        await self._audit.note(identity.username, "agent_workers.blacklist.remove", token_id(asked.token))
        await self._tokens.blacklist.remove(asked.token)
        return unit()

    async def blacklisted_tokens(self, request: Request) -> Response:
        """The agent tokens that are refused, newest first; superadmins only."""
        await self._gate.superadmin(request)
        return json_reply(await self._tokens.blacklist.listed(typed_query(request, BlacklistFilter)))

    async def member(self, request: Request) -> Response:
        """Who the token belongs to, in a workspace."""
        identity = await self._gate.member(request)
        return json_reply(
            Member(
                workspace_id=request.path_params["workspace"],
                email=identity.email,
                username=identity.username,
                is_admin=identity.superadmin,
                is_super_admin=identity.superadmin,
            )
        )

    async def email_of(self, request: Request) -> Response:
        """The e-mail address of a user."""
        await self._gate.member(request)
        return text_reply(await self._tokens.email_of(request.path_params["username"]))

    async def workspaces(self, request: Request) -> Response:
        """The workspaces this token reaches."""
        return json_reply(await self._workspaces.visible_to(await self._gate.anyone(request)))

    async def create_workspace(self, request: Request) -> Response:
        """Make a workspace; superadmins only."""
        identity = await self._gate.superadmin(request)
        asked = await typed_body(request, NewWorkspace)
        await self._audit.note(identity.username, "workspaces.create", asked.id)
        await self._workspaces.create(identity, asked)
        return text_reply(f"Created workspace {asked.id}", 201)


def routes(tokens: Tokens, workspaces: Workspaces, gate: Gate, audit: Audit) -> list[Described]:
    return TokenRoutes(tokens, workspaces, gate, audit).all()
