"""People's passwords and tokens, kept in the store."""

import asyncio
import hashlib
import secrets
import string
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import argon2
import structlog

from agent.clock import Clock
from agent.logs import Secret
from agent.wire.claims import Claims
from bridge.errors import BadRequest, NotAuthorized, NotFound
from bridge.store.setting import set_once
from bridge.store.statements import queries
from bridge.store.store import Connection, Row, Store, Taken
from bridge.tokens.agents import AgentTokens
from bridge.tokens.attempts import Attempts
from bridge.tokens.blacklist import Blacklist, BlacklistedToken
from bridge.tokens.jobs import JobTokens
from bridge.tokens.model import JOB_PREFIX, Identity, NewAgentToken, NewPersonToken
from bridge.tokens.seen import SeenTokens
from bridge.tokens.signing import Remembered, Signer

SQL: Final = queries(Path(__file__).with_name("tokens.sql"))
ADMIN_EMAIL: Final = "admin@orvanta.local"
ADMIN_USERNAME: Final = "admin"
ALPHABET: Final = string.ascii_letters + string.digits
LOGIN_LIFE_S: Final = 30 * 24 * 3600.0
REMEMBER_S: Final = 60.0  # a person's token is looked up again after this
HASHERS_MAX: Final = 2  # argon2 takes 64 MiB a piece

log = structlog.get_logger()


def random_text(length: int = 32) -> str:
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


@dataclass(frozen=True, slots=True)
class _Holder:
    identity: Identity
    expires_at: float | None
    looked_up_s: float  # monotonic


class Tokens:
    """Open with `await Tokens.open(store, clock)`."""

    def __init__(self, store: Store, clock: Clock, signer: Signer) -> None:
        self._store = store
        self._clock = clock
        self.jobs = JobTokens(signer, clock)
        self.agents = AgentTokens(signer, clock)
        self.blacklist = Blacklist(store, clock)
        self._attempts = Attempts(clock)
        self.seen = SeenTokens(store, clock)
        self._hasher = argon2.PasswordHasher()
        self._hashing = asyncio.Semaphore(HASHERS_MAX)
        self._holders: Remembered[_Holder] = Remembered()

    @classmethod
    async def open(cls, store: Store, clock: Clock) -> "Tokens":
        """Reads the signing secret; the first time it makes one."""
        secret = await set_once(store, "jwt_secret", random_text())
        return cls(store, clock, Signer(Secret(secret)))

    async def bootstrap(self, password: str | None) -> str | None:
        """Makes the superadmin on first start, and sets the password given, if any.

        Returns the password when it was generated: print it, it is shown once and kept only hashed.
        """
        found = await self._one("superadmin", {})
        if found is None:
            chosen = password or random_text(20)
            row = {
                "email": ADMIN_EMAIL,
                "username": ADMIN_USERNAME,
                "password_hash": await self._hashed(chosen),
                "superadmin": 1,
            }
            try:
                await self._store.write(lambda connection: connection.execute(SQL["add_person"], row))
            except Taken:  # by another bridge that was started in this moment
                return await self.bootstrap(password)
            return None if password else chosen
        if password and not await self._matches(found["password_hash"], password):
            change = {"email": found["email"], "password_hash": await self._hashed(password)}
            await self._store.write(lambda connection: connection.execute(SQL["set_password"], change))
        return None

    async def login(self, email: str, password: str, address: str) -> str:
        """A bearer token for `LOGIN_LIFE_S` seconds; `address` is the caller's.

        Raises `NotAuthorized`, and `NotYet` after too many of those.
        """
        self._attempts.check(address, email)
        person = await self._one("person", {"email": email})
        stored = person["password_hash"] if person else await self._unmatchable()
        if not await self._matches(stored, password) or person is None:
            self._attempts.note_refused(address, email)
            log.warning("login.refused", email=email, address=address)
            raise NotAuthorized("Invalid login: no such e-mail, or another password")
        return await self._keep_token(email, "login", self._clock.wall_s() + LOGIN_LIFE_S)

    async def logout(self, token: str) -> None:
        """The person's token holds no more: here at once, at another process within `REMEMBER_S` seconds."""
        key = hashlib.sha256(token.encode()).hexdigest()
        await self._store.write(lambda connection: connection.execute(SQL["drop_token"], {"hash": key}))
        self._holders.forget(key)

    async def create(self, identity: Identity, asked: NewPersonToken) -> str:
        """A further bearer token for a person, valid until `expiration`, or for ever."""
        expires_at = None
        if asked.expiration is not None:
            if asked.expiration.tzinfo is None:
                raise BadRequest("expiration needs a time zone, for example 2030-01-01T00:00:00Z")
            expires_at = asked.expiration.timestamp()
        return await self._keep_token(identity.email, asked.label or "", expires_at)

    async def identify(self, bearer: str) -> Identity:
        """Who holds this token of the people's API. Raises `NotAuthorized`."""
        if bearer.startswith(JOB_PREFIX):
            identity = self.jobs.verify(bearer)
        else:
            identity = await self._person(bearer)
        if identity is None:
            raise NotAuthorized("Unauthorized")
        return identity

    def mint_agent_token(self, asked: NewAgentToken) -> str:
        """Raises `BadRequest` that says how to mend the request."""
        return self.agents.mint(asked)

    async def verify_agent(self, bearer: str) -> Claims | None:
        """What an agent's bearer token proved, or None; the reason is in our log (agent-api.md 1.3)."""
        claims = self.agents.verify(bearer)
        if claims is None:
            return None
        if await self.blacklist.holds(claims.token_id):
            log.warning("token.refused", kind="agent", reason="blacklisted", worker=claims.worker)
            return None
        return claims

    async def until_ended(self, claims: Claims) -> None:
        """Returns once this token is blacklisted or has expired."""
        with self.blacklist.news.watched(claims.token_id) as told, suppress(TimeoutError):
            async with asyncio.timeout(max(0.0, claims.expires_s - self._clock.wall_s())):
                while not await self.blacklist.holds(claims.token_id):
                    await told.wait()
                    told.clear()

    async def end(self, token: str) -> None:
        """An agent token that another one has taken the place of is refused from now on."""
        await self.blacklist.add(BlacklistedToken(token=token), "rotate_token")

    async def email_of(self, username: str) -> str:
        """Raises `NotFound`."""
        row = await self._one("email_of", {"username": username})
        if row is None:
            raise NotFound(f"user {username} not found")
        return str(row["email"])

    async def _person(self, bearer: str) -> Identity | None:
        key = hashlib.sha256(bearer.encode()).hexdigest()
        holder = self._holders.get(key)
        if holder is None or self._clock.monotonic_s() - holder.looked_up_s > REMEMBER_S:
            row = await self._one("holder", {"hash": key})
            if row is None:
                self._holders.forget(key)
                return None
            identity = Identity(
                email=row["email"], username=row["username"], superadmin=bool(row["superadmin"])
            )
            holder = _Holder(identity, row["expires_at"], self._clock.monotonic_s())
            self._holders.forget(key)
            self._holders.put(key, holder)
        if holder.expires_at is not None and holder.expires_at <= self._clock.wall_s():
            return None
        return holder.identity

    async def _keep_token(self, email: str, label: str, expires_at: float | None) -> str:
        token = random_text()
        now = self._clock.wall_s()
        row = {
            "hash": hashlib.sha256(token.encode()).hexdigest(),
            "email": email,
            "label": label,
            "now": now,
            "expires_at": expires_at,
        }

        def keep(connection: Connection) -> None:
            connection.execute(SQL["drop_expired"], {"now": now})
            connection.execute(SQL["add_token"], row)

        await self._store.write(keep)
        return token

    async def _one(self, query: str, values: dict[str, Any]) -> Row | None:
        row: Row | None = await self._store.read(lambda db: db.execute(SQL[query], values).fetchone())
        return row

    async def _hashed(self, password: str) -> str:
        async with self._hashing:
            return await asyncio.to_thread(self._hasher.hash, password)

    async def _unmatchable(self) -> str:
        """A hash nobody has the password of, so that an unknown e-mail takes as long as a known one."""
        return await self._hashed(random_text())

    async def _matches(self, stored: str, password: str) -> bool:
        async with self._hashing:
            try:
                return await asyncio.to_thread(self._hasher.verify, stored, password)
            except argon2.exceptions.VerificationError:
                return False
