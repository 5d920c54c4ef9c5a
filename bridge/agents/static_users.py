"""Where the broker cannot ask: users that an operator gives it, and the passwords that agents are told."""

import json
from typing import Final
from urllib.parse import quote, urlsplit

from agent.clock import Clock
from agent.wire.claims import Claims
from agent.wire.tokens import broker_login
from bridge.broker.setup import definitions, static_password
from bridge.store.setting import set_once
from bridge.store.store import Store
from bridge.tokens.seen import SeenTokens, Standing
from bridge.tokens.service import random_text

SECRET: Final = "broker_users_secret"  # noqa: S105 the name of one


def without_login(url: str, _claims: Claims) -> str:
    """The agent logs in with its token. The bridge's own account is nobody else's."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


class StaticUsers:
    def __init__(self, secret: str) -> None:
        self._secret = secret.encode()

    @classmethod
    async def open(cls, store: Store) -> "StaticUsers":
        """The first time it makes the secret from which all passwords follow."""
        return cls(await set_once(store, SECRET, random_text()))

    def address(self, url: str, claims: Claims) -> str:
        login = broker_login(claims.worker, claims.token_id)
        parts = urlsplit(without_login(url, claims))
        named = f"{quote(login, safe='')}:{static_password(self._secret, login)}@{parts.netloc}"
        return parts._replace(netloc=named).geturl()

    async def permissions(self, seen: SeenTokens, vhost: str, clock: Clock) -> tuple[str, list[str]]:
        """The definitions to import, as JSON, and the names of users whose tokens have ended."""
        held, ended = {}, []
        for one in await seen.logins():
            login = broker_login(one.worker, one.token_id)
            if one.standing is Standing.GOOD and one.expires_at > clock.wall_s():
                held[login] = (one.worker, one.tags)
            else:
                ended.append(login)
        return json.dumps(definitions(held, vhost, self._secret), indent=1), ended
