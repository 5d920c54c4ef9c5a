"""Enrolment: an agent token in, the link to use out (DESIGN section 6); and who is enrolled, for people."""

import base64
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Protocol

import structlog
from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from agent.clock import Clock
from agent.wire import proofs, revoked
from agent.wire.admission import headers_of
from agent.wire.claims import Claims, Tag, TokenId, WorkerName
from agent.wire.errors import WireError
from agent.wire.routing import job_queue
from agent.wire.tokens import token_id
from bridge.agents.admission import Admission, Turn
from bridge.devices.service import Devices, Shown
from bridge.devices.successors import Successors
from bridge.errors import (
    BadRequest,
    BridgeError,
    BrokerDown,
    ChallengeNeeded,
    ClusterDown,
    DeviceRefused,
)
from bridge.web.bodies import typed_body

log = structlog.get_logger()

LANGUAGES_MAX: Final = 200
Word = Annotated[str, Meta(max_length=100)]
Address = Callable[[str, Claims], str]  # of the broker, for this agent
ProofOfRevocation = Callable[[str], Awaitable[str]]  # of a bearer's token; empty: it was not taken away
Admit = Callable[[WorkerName, frozenset[Tag]], Awaitable[None]]


Fact = Annotated[str, Meta(max_length=100)]


class About(Struct):
    """What an agent says of itself. Its clock may show any year; one of an older release shows no device."""

    version: str = ""
    slots: Annotated[int, Meta(ge=0, le=2**31)] = 1
    wall_s: Annotated[float, Meta(ge=-1e12, le=1e12)] | None = None
    platform: Annotated[dict[Fact, Fact], Meta(max_length=20)] = {}
    device: Shown | None = None
    languages: Annotated[list[Word], Meta(max_length=LANGUAGES_MAX)] | None = None  # null: it does not tell


class Register(Protocol):
    async def enrol(
        self,
        claims: Claims,
        version: str,
        slots: int,
        clock_offset_ms: int | None,
        token_id: str,
        platform: Mapping[str, str],
        languages: Sequence[str] | None,
    ) -> None: ...

    async def shared_tags(self, worker: WorkerName, tags: Iterable[Tag]) -> frozenset[Tag]: ...


async def no_proof(_bearer: str) -> str:
    """Of a bridge that only relays: who takes tokens away, and whether one has been, its cluster knows."""
    return ""


class Proofs:
    """The bridge's signed word that it was itself that took a token away."""

    def __init__(self, is_blacklisted: Callable[[TokenId], Awaitable[bool]], sign: revoked.Sign) -> None:
        self._is_blacklisted = is_blacklisted
        self._sign = sign

    async def of(self, bearer: str) -> str:
        if not await self._is_blacklisted(token_id(bearer)):
            return ""
        return revoked.proof_of(bearer, self._sign)


class Keys(Protocol):
    """What signs jobs, and what agents are told."""

    def public_keys(self) -> dict[str, bytes]: ...

    def introductions(self) -> list[str]: ...


class Enrolments:
    def __init__(
        self,
        register: Register,
        devices: Devices,
        successors: Successors,
        admit: Admit,
        keys: Keys,
        public_amqp_url: str | None,
        address: Address,
        *,
        clock: Clock,
        admissions_per_s: int,
        api_url: str = "",
        proof_of_revocation: ProofOfRevocation = no_proof,
        sends_bundles: bool = False,
    ) -> None:
        """`public_amqp_url`: where agents find the broker, which may differ from where the bridge does.

        `{host}` in it stands for the host name under which the agent reached the bridge. Without one the link
        is HTTP, at the address that the agent has used. `address` says who an agent is at the broker;
        `api_url`: the API that jobs call; empty: where agents enrol.
        """
        self._register = register
        self._devices = devices
        self._successors = successors
        self._admit = admit
        self._keys = keys
        self._amqp_url = public_amqp_url or ""
        self._api_url = api_url
        self._address = address
        self._clock = clock
        self._proof_of_revocation = proof_of_revocation
        self._sends_bundles = sends_bundles
        self._admission = Admission(admissions_per_s, clock.monotonic_s())

    def routes(self) -> list[Route]:
        return [Route("/api/agent_workers/enroll", self._enrol, methods=["POST"])]

    async def _enrol(self, request: Request) -> Response:
        """200 with the link; 401 a bad token; 403 another device's; 428 a challenge to sign; 400 a bad body;
        429 not its turn; 503 while the broker is away, or the cluster that knows whether the token holds.

        The turn comes before the broker: who is told 503 tries it from a cached enrolment, at the same pace.
        """
        bearer = request.headers.get("authorization", "").removeprefix("Bearer ")
        try:
            claims = await self._devices.claims(bearer)
            if claims is None:
                proof = await self._proof_of_revocation(bearer)
                return PlainTextResponse("Unauthorized", 401, {revoked.HEADER: proof} if proof else None)
            about = await typed_body(request, About)
            for tag in claims.tags:
                job_queue(tag)
            ticket = await self._devices.bind(bearer, claims, about.device)
            turn = self._admission.turn(claims.worker, self._clock.monotonic_s())
            if turn.wait_s > 0:
                return _not_yet(claims.worker, turn)
            await self._admit(claims.worker, claims.tags)
        except (BridgeError, WireError) as error:
            return _refusal(error)
        return JSONResponse(await self._link(request, bearer, claims, about, ticket))

    async def _link(
        self, request: Request, bearer: str, claims: Claims, about: About, ticket: str
    ) -> dict[str, Any]:
        """What is read below the commit may be old, but whatever changes after it asks this agent again."""
        shared = await self._register.shared_tags(claims.worker, claims.tags)
        offset_ms = self._offset_ms(about.wall_s)
        await self._register.enrol(
            claims,
            about.version,
            about.slots,
            offset_ms,
            token_id(bearer),
            about.platform,
            about.languages or None,
        )
        await self._successors.note_use(bearer, claims)
        return {
            "worker": claims.worker,
            "worker_group": claims.worker_group,
            "tags": sorted(claims.tags),
            "shared_tags": sorted(shared),
            "link": "amqp" if self._amqp_url else "http",
            "amqp_url": self._address(self._amqp_url.replace("{host}", request.url.hostname or ""), claims),
            "keys": {kid: base64.b64encode(raw).decode() for kid, raw in self._keys.public_keys().items()},
            "introductions": self._keys.introductions(),
            "signs_control": bool(self._amqp_url),
            "bundles": self._sends_bundles,
            "ticket": ticket,
            "token": await self._successors.of(bearer) if ticket else "",
            "base_url": self._api_url,
            "wall_s": self._clock.wall_s(),
            "routes_languages": bool(self._amqp_url),
        }

    def _offset_ms(self, wall_s: float | None) -> int | None:
        """By how much the agent's clock is ahead of ours; None when it does not say what it shows."""
        return None if wall_s is None else round((wall_s - self._clock.wall_s()) * 1000)


def _refusal(error: BridgeError | WireError) -> Response:
    match error:
        case ChallengeNeeded():
            return PlainTextResponse(str(error), 428, {proofs.CHALLENGE: error.challenge})
        case DeviceRefused():
            return PlainTextResponse(str(error), 403, {proofs.DEVICE: "refused"})
        case ClusterDown():
            return PlainTextResponse(f"whether the token holds is not known now: {error}", 503)
        case BrokerDown():
            return PlainTextResponse(str(error), 503)
        case BadRequest() | WireError():
            return PlainTextResponse(f"the body must be {{version, slots}} and the tags short: {error}", 400)
    raise error


def _not_yet(worker: WorkerName, turn: Turn) -> Response:
    log.info("agent.admission_waits", worker=worker, wait_s=round(turn.wait_s, 3), place=turn.place)
    told = f"many agents come back at once; this one is number {turn.place}, admitted in {turn.wait_s:.3f} s"
    return PlainTextResponse(told, 429, headers_of(turn.wait_s))
