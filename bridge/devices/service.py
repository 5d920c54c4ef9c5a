"""Which device a token belongs to: bound at its first enrolment, refused to others (DESIGN section 5)."""

import base64
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Final

import structlog
from msgspec import Meta, Struct

from agent.clock import Clock
from agent.logs import Secret
from agent.trust import Keyring, key_id
from agent.wire import proofs
from agent.wire.claims import Claims, WorkerName
from agent.wire.envelope import require_signed
from agent.wire.errors import BadSignature, Malformed
from agent.wire.tokens import split_ticket, token_id
from bridge.devices.tickets import Tickets
from bridge.errors import BadRequest, ChallengeNeeded, DeviceRefused, PermissionDenied
from bridge.store.reading import SharedReading
from bridge.store.setting import set_once
from bridge.store.statements import queries
from bridge.store.store import Connection, Store
from bridge.tokens.signing import Remembered, Signer

SQL: Final = queries(Path(__file__).with_name("devices.sql"))
FRESH_S: Final = 2.0  # another process's approval or removal counts here at the latest then
WAITING_MAX: Final = 20  # devices of a token that wait for an admin

Verify = Callable[[str], Awaitable[Claims | None]]
Note = Callable[[Claims], Awaitable[None]]
Base64 = Annotated[str, Meta(max_length=200)]

log = structlog.get_logger()


class Shown(Struct):
    """What an enrolling agent shows of its device; the proof follows once the challenge is known."""

    key: Base64
    challenge: Annotated[str, Meta(max_length=2000)] = ""
    signature: Base64 = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """`require_approval`: no device is bound without an admin. `shared_tokens`: all tokens are for any number
    of machines, because the cluster that mints them has no word for it.
    """

    require_approval: bool = False
    shared_tokens: bool = False


FIRST_USE: Final = Rules()


@dataclass(frozen=True, slots=True)
class _Known:
    """Of one bearer: the devices of its token, and the keys of its worker."""

    of_token: frozenset[str]
    of_worker: Mapping[str, bytes]
    changes: int  # made to all devices before it was looked up


class Devices:
    """Open with `await Devices.open(store, clock, verify, note, rules)`."""

    def __init__(
        self, store: Store, clock: Clock, verify: Verify, note: Note, tickets: Tickets, rules: Rules
    ) -> None:
        """`verify`: what the token alone proves. `note` is told of those whose device it is too."""
        self._note = note
        self._store = store
        self._clock = clock
        self._verify = verify
        self._tickets = tickets
        self._rules = rules
        self._known: Remembered[_Known] = Remembered()
        self._changes = SharedReading(clock, FRESH_S, self._count)

    @classmethod
    async def open(cls, store: Store, clock: Clock, verify: Verify, note: Note, rules: Rules) -> "Devices":
        """Reads the secret of its tickets; the first time it makes one."""
        secret = await set_once(store, "device_secret", secrets.token_hex(32))
        tickets = Tickets(Signer(Secret(secret)), clock)
        return cls(store, clock, verify, note, tickets, rules)

    async def verify(self, bearer: str) -> Claims | None:
        """What a bearer proves with its ticket, if it has one. A copied token alone proves nothing."""
        plain, ticket = split_ticket(bearer)
        claims = await self.claims(plain)
        if claims is None:
            return None
        name = token_id(plain)
        known = await self._looked_up(name, claims.worker)
        if ticket:
            kid = self._tickets.device_of(ticket, name, claims.worker)
            if kid is not None and kid in known.of_token:
                await self._note(claims)
                return replace(claims, device=kid)
            reason = "the ticket has ended or is not its own"
        elif not self._needs_device(claims, known):
            await self._note(claims)
            return claims
        else:
            reason = "the token belongs to a device, which did not show its ticket"
        log.warning("token.refused", kind="agent", reason=reason, worker=claims.worker)
        return None

    async def is_from_its_device(self, bearer: str, claims: Claims) -> bool:
        """Whether the device that a token belongs to shows it, though token and ticket may have ended."""
        plain, ticket = split_ticket(bearer)
        name = token_id(plain)
        known = await self._looked_up(name, claims.worker)
        if not self._needs_device(claims, known):
            return True
        return self._tickets.once_of(ticket, name, claims.worker) in known.of_token

    async def claims(self, bearer: str) -> Claims | None:
        """What the token alone proves: as much as it takes to try to enrol."""
        claims = await self._verify(bearer)
        return replace(claims, shared=True) if claims and self._rules.shared_tokens else claims

    async def bind(self, bearer: str, claims: Claims, shown: Shown | None) -> str:
        """Bind the token to the device that proves its key, or find it bound. Returns the device's ticket.

        Empty for an agent without a device. Raises `ChallengeNeeded`, `DeviceRefused`, `BadRequest`.
        """
        name = token_id(bearer)
        if shown is None:
            if self._needs_device(claims, await self._looked_up(name, claims.worker)):
                raise DeviceRefused("this token belongs to a device, and this agent shows no device key.")
            await self._note(claims)
            return ""
        public = _public(shown.key)
        kid = key_id(public)
        if not self._tickets.is_ours(shown.challenge, name, claims.worker, kid):
            raise ChallengeNeeded(self._tickets.challenge(name, claims.worker, kid))
        if not Keyring({kid: public}).verify(
            kid, _signature(shown.signature), proofs.enrolment(shown.challenge)
        ):
            raise DeviceRefused(f"the signature does not fit the device key {kid}.")
        await self._bind(name, claims, kid, public)
        await self._note(claims)
        return self._tickets.issue(name, claims.worker, kid)

    async def require_signed(
        self, worker: WorkerName, headers: Mapping[str, object], body: bytes, what: str
    ) -> None:
        """What comes from a worker with a device is signed by it. Raises `BadSignature`."""
        known = await self._looked_up("", worker)
        if known.of_worker:
            require_signed(body, headers, Keyring(known.of_worker).verify, what)

    async def require_signed_result(
        self, worker: WorkerName, signature: str, job_id: str, body_sha256: str
    ) -> None:
        """The same, of a result over HTTP. Raises `PermissionDenied`."""
        known = await self._looked_up("", worker)
        if not known.of_worker:
            return
        try:
            kid, raw = proofs.read_signature(signature)
        except Malformed:
            kid, raw = "", b""
        if not Keyring(known.of_worker).verify(kid, raw, proofs.result(job_id, body_sha256)):
            log.warning("result.refused", worker=worker, job_id=job_id, reason=BadSignature.__name__)
            raise PermissionDenied("BadSignature: the result is not signed by the device of this worker")

    async def of_tag(self, tag: str, most: int) -> dict[str, bytes]:
        """The public keys of the devices whose agents have this tag, by their ids."""
        return await self._keys("of_tag", {"tag": tag, "most": most})

    async def key(self, kid: str) -> dict[str, bytes]:
        """The one with this id, if it is bound to a token."""
        return await self._keys("key", {"kid": kid})

    async def _keys(self, query: str, values: Mapping[str, Any]) -> dict[str, bytes]:
        rows = await self._store.read(lambda db: db.execute(SQL[query], values).fetchall())
        return {row["kid"]: base64.b64decode(row["public"]) for row in rows}

    async def listed(self) -> list[dict[str, Any]]:
        """Every device, those that wait first."""

        def read(connection: Connection) -> list[dict[str, Any]]:
            return [dict(row) for row in connection.execute(SQL["listed"])]

        return await self._store.read(read)

    async def approve(self, kid: str, by: str) -> bool:
        """Bind this device too; those that are bound stay so. False: no such device has come."""
        values = {"kid": kid, "reason": f"approved by {by}"}
        return await self._changed("approve", values)

    async def forget(self, kid: str) -> bool:
        """Nothing is bound to this device any more, and what it signed is refused. False: there is none."""
        return await self._changed("forget", {"kid": kid})

    def _needs_device(self, claims: Claims, known: _Known) -> bool:
        if known.of_worker:  # the worker's name is a device's, whatever the token allows
            return True
        return not claims.shared and (bool(known.of_token) or self._rules.require_approval)

    async def _bind(self, name: str, claims: Claims, kid: str, public: bytes) -> None:
        """Compare and set, in one commit: of two devices that come at once one is first."""
        row = {"token_id": name, "kid": kid, "worker": claims.worker, "now": self._clock.wall_s(),
               "public": base64.b64encode(public).decode()}  # fmt: skip

        def bind(connection: Connection) -> str:
            bound = [dict(one) for one in connection.execute(SQL["bound"], row)]
            is_bound = any((one["token_id"], one["kid"]) == (name, kid) for one in bound)
            against = self._against_name(bound, claims, kid)
            if is_bound:
                if not against:
                    connection.execute(SQL["seen"], row)
                    connection.execute(SQL["count_change"])
                return against
            against = self._against_token(bound, name, claims, kid) or against
            state, reason = ("waiting", against) if against else ("bound", "first use of the token")
            connection.execute(SQL["keep"], row | {"state": state, "reason": reason})
            connection.execute(SQL["drop_waiting"], row | {"most": WAITING_MAX})
            connection.execute(SQL["count_change"])
            return against

        against = await self._store.write(bind)
        self._changes.changed()
        if against:
            log.warning("device.refused", worker=claims.worker, device=kid, reason=against)
            raise DeviceRefused(f"{against}. Its key is {kid}: an admin may approve it.")

    def _against_name(self, bound: list[dict[str, Any]], claims: Claims, kid: str) -> str:
        """Why this device may not have the worker's name; empty when it may."""
        namesakes = sorted({one["kid"] for one in bound if one["worker"] == claims.worker})
        if not namesakes or kid in namesakes:
            return ""
        return f"another device has the name {claims.worker} ({', '.join(namesakes)})"

    def _against_token(self, bound: list[dict[str, Any]], name: str, claims: Claims, kid: str) -> str:
        """Why a device that is not bound to the token may not be; empty when it may."""
        others = sorted({one["kid"] for one in bound if one["token_id"] == name})
        if others and not claims.shared:
            return f"this token belongs to another device ({', '.join(others)})"
        is_known = any(one["kid"] == kid for one in bound)  # by another token
        return (
            "a new device needs an admin's approval here"
            if self._rules.require_approval and not is_known
            else ""
        )

    async def _looked_up(self, name: str, worker: WorkerName) -> _Known:
        """As of `FRESH_S` ago at most. Thousands ask, so one number says of all whether it still holds."""
        key, changes = f"{name} {worker}", await self._changes.value()
        known = self._known.get(key)
        if known is None or known.changes != changes:
            values = {"token_id": name, "worker": worker}
            rows = await self._store.read(lambda db: db.execute(SQL["bound"], values).fetchall())
            known = _Known(
                frozenset(row["kid"] for row in rows if row["token_id"] == name),
                {row["kid"]: base64.b64decode(row["public"]) for row in rows if row["worker"] == worker},
                changes,
            )
            self._known.forget(key)
            self._known.put(key, known)
        return known

    async def _changed(self, query: str, values: dict[str, Any]) -> bool:
        def change(connection: Connection) -> int:
            connection.execute(SQL["count_change"])
            return connection.execute(SQL[query], values).rowcount

        changed = await self._store.write(change)
        self._changes.changed()
        return changed > 0

    async def _count(self) -> int:
        """How often devices have changed, by whichever process."""
        row = await self._store.read(lambda db: db.execute(SQL["changes"]).fetchone())
        return 0 if row is None else int(row["value"])


def _public(text: str) -> bytes:
    """Raises `BadRequest`."""
    raw = _signature(text)
    if len(raw) != 32:  # noqa: PLR2004 an Ed25519 key
        raise BadRequest("device.key must be 32 bytes, base64")
    return raw


def _signature(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except ValueError:
        raise BadRequest("a key and a signature are base64") from None
