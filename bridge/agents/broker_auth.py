"""What RabbitMQ asks before it lets an agent in or do anything (rabbitmq_auth_backend_http).

Answers are the texts `allow` and `deny`. What is allowed to a login never changes while its token holds,
because the login names the token: so the broker may keep these answers for a day; it asks for every log-in.
"""

from urllib.parse import parse_qsl

import structlog
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from agent.wire.claims import Tag, WorkerName
from agent.wire.tokens import broker_login, split_login
from bridge.broker.auth import Asked, may
from bridge.broker.setup import ASKED_AT
from bridge.errors import ClusterDown
from bridge.metrics.figures import AUTH_REFUSALS
from bridge.tokens.gate import VerifyAgent
from bridge.tokens.seen import SeenTokens
from bridge.web.bodies import body_of

log = structlog.get_logger()


class BrokerAuth:
    def __init__(self, verify: VerifyAgent, seen: SeenTokens, vhost: str) -> None:
        """`vhost`: the one that is ours."""
        self._verify = verify
        self._seen = seen
        self._vhost = vhost

    def routes(self) -> list[Route]:
        return [
            Route(f"{ASKED_AT}/user", self._user, methods=["POST"]),
            Route(f"{ASKED_AT}/vhost", self._in_vhost, methods=["POST"]),
            Route(f"{ASKED_AT}/resource", self._resource, methods=["POST"]),
            Route(f"{ASKED_AT}/topic", self._resource, methods=["POST"]),
        ]

    async def _user(self, request: Request) -> Response:
        """An agent's log-in: its token is the password, and has to be the one that its name names."""
        form = await _form(request)
        username = form.get("username", "")
        try:
            claims = await self._verify(form.get("password", ""))
        except ClusterDown as error:
            log.warning("login.undecided", login=username[:100], reason=str(error))
            return _answer(username, "undecided", allowed=False)
        allowed = claims is not None and broker_login(claims.worker, claims.token_id) == username
        return _answer(username, "login", allowed=allowed)

    async def _in_vhost(self, request: Request) -> Response:
        form = await _form(request)
        username = form.get("username", "")
        allowed = form.get("vhost") == self._vhost and await self._known(username) is not None
        return _answer(username, "vhost", allowed=allowed, vhost=form.get("vhost", ""))

    async def _resource(self, request: Request) -> Response:
        """A queue or an exchange; or, for a topic, a routing key of an exchange."""
        form = await _form(request)
        username = form.get("username", "")
        known = await self._known(username)
        asked = Asked(
            resource=form.get("resource", ""),
            name=form.get("name", ""),
            permission=form.get("permission", ""),
            routing_key=form.get("routing_key", ""),
        )
        allowed = known is not None and form.get("vhost") == self._vhost and may(*known, asked)
        return _answer(
            username,
            "resource",
            allowed=allowed,
            name=asked.name,
            permission=asked.permission,
            key=asked.routing_key,
        )

    async def _known(self, username: str) -> tuple[WorkerName, frozenset[Tag]] | None:
        worker, token = split_login(username)
        tags = await self._seen.tags_of(worker, token)
        return None if tags is None else (worker, tags)


async def _form(request: Request) -> dict[str, str]:
    text = (await body_of(request)).decode(errors="replace")
    return dict(parse_qsl(text, keep_blank_values=True))


def _answer(username: str, of: str, *, allowed: bool, **about: str) -> Response:
    if not allowed:
        AUTH_REFUSALS.labels("broker", of).inc()
        log.warning(
            "broker.denied", login=username[:200], **{what: text[:200] for what, text in about.items()}
        )
    return PlainTextResponse("allow" if allowed else "deny")
