"""What the agent endpoints prove and ask for: jobs signed by us, results signed by the device."""

import hashlib
from collections.abc import Callable, Mapping

from starlette.requests import Request

from agent.wire import proofs
from agent.wire.claims import Claims
from bridge.devices.service import Devices
from bridge.devices.successors import Successors

Sign = Callable[[bytes], Mapping[str, str]]  # what is stated → headers


class Trust:
    def __init__(self, devices: Devices, successors: Successors, sign: Sign | None) -> None:
        self._devices = devices
        self._successors = successors
        self._sign = sign

    def handed_out(self, claims: Claims, request_id: str, body: bytes) -> Mapping[str, str]:
        """The headers that prove this answer to be ours and to be the answer to this pull (I4)."""
        if self._sign is None:
            return {}
        return self._sign(proofs.pulled(claims.worker, request_id, body))

    async def require_signed(self, request: Request, claims: Claims, job_id: str, body: bytes) -> None:
        """A result is its device's own. Raises `PermissionDenied`."""
        signature = request.headers.get(proofs.SIGNATURE, "")
        digest = hashlib.sha256(body).hexdigest()
        await self._devices.require_signed_result(claims.worker, signature, job_id, digest)

    async def renewal(self, claims: Claims) -> Mapping[str, str]:
        """The header that tells an agent of ours to enrol again."""
        return {proofs.RENEW: "now"} if await self._successors.must_renew(claims.worker) else {}
