"""What a superadmin asks of devices, and how a token is replaced without a visit."""

from typing import Final

from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response

from agent.wire.tokens import token_id
from bridge.audit.service import Audit
from bridge.devices.service import Devices
from bridge.devices.successors import Successors
from bridge.errors import NotFound
from bridge.tokens.gate import Gate
from bridge.tokens.model import NextAgentToken
from bridge.tokens.service import Tokens
from bridge.web.bodies import json_reply, typed_body, unit
from bridge.web.described import Described

ALL: Final = "/api/agent_workers"


class DeviceRow(Struct):
    """`device`: the id of its key. `state`: bound, or waiting for an admin. Times: seconds since 1970."""

    device: str
    worker: str
    state: str
    reason: str
    token_id: str
    first_seen: float
    last_seen: float


class NamedDevice(Struct):
    device: str


class DeviceRoutes:
    def __init__(
        self, devices: Devices, successors: Successors, tokens: Tokens, gate: Gate, audit: Audit
    ) -> None:
        self._audit = audit
        self._devices = devices
        self._successors = successors
        self._tokens = tokens
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described("GET", f"{ALL}/devices", self.listed, gives=list[DeviceRow]),
            Described("POST", f"{ALL}/approve_device", self.approve, takes=NamedDevice, gives=None),
            Described("POST", f"{ALL}/forget_device", self.forget, takes=NamedDevice, gives=None),
            Described("POST", f"{ALL}/rotate_token", self.rotate, takes=NextAgentToken, gives=str),
        ]

    async def listed(self, request: Request) -> Response:
        """The devices that tokens are bound to, and those that wait for an admin; superadmins only."""
        await self._gate.superadmin(request)
        return json_reply(
            [
                DeviceRow(
                    row["kid"],
                    row["worker"],
                    row["state"],
                    row["reason"],
                    row["token_id"],
                    row["first_seen"],
                    row["last_seen"],
                )
                for row in await self._devices.listed()
            ]
        )

    async def approve(self, request: Request) -> Response:
        """Let this device use the token with which it came; superadmins only."""
        identity = await self._gate.superadmin(request)
        device = (await typed_body(request, NamedDevice)).device
        await self._audit.note(identity.username, "agent_workers.device.approve", device)
        if not await self._devices.approve(device, identity.username):
            raise NotFound(f"no device {device!r} has come; GET {ALL}/devices names them")
        return unit()

    async def forget(self, request: Request) -> Response:
        """Nothing is bound to this device any more; superadmins only."""
        identity = await self._gate.superadmin(request)
        device = (await typed_body(request, NamedDevice)).device
        await self._audit.note(identity.username, "agent_workers.device.forget", device)
        if not await self._devices.forget(device):
            raise NotFound(f"no device {device!r} is known; GET {ALL}/devices names them")
        return unit()

    async def rotate(self, request: Request) -> Response:
        """Mint a token in the place of another; the agent takes it over by its link. Superadmins only."""
        identity = await self._gate.superadmin(request)
        asked = await typed_body(request, NextAgentToken)
        token = self._tokens.agents.mint_next(asked)
        await self._audit.note(
            identity.username, "agent_workers.token.rotate", token_id(asked.token),
            successor=token_id(token), tags=asked.tags, exp=asked.exp,
        )  # fmt: skip
        await self._successors.name(asked.token, token)
        return json_reply(token)


def routes(
    devices: Devices, successors: Successors, tokens: Tokens, gate: Gate, audit: Audit
) -> list[Described]:
    return DeviceRoutes(devices, successors, tokens, gate, audit).all()
