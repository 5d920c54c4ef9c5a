"""Bundles over HTTP: manifests, and ranges of artefacts, for agents whose tags need them (I4); ours."""

import re
from typing import Annotated, Any, Final

from msgspec import Meta, Struct
from starlette.requests import Request
from starlette.responses import Response

from agent.wire.bundles import PART_MAX_BYTES
from agent.wire.claims import Claims
from agent.wire.messages import Want
from agent.wire.proofs import signature_text
from bridge.bundles.service import Bundles
from bridge.errors import BadRequest, NotFound
from bridge.jobs.scripts import Scripts
from bridge.tokens.gate import Gate
from bridge.web.bodies import json_reply, typed_query
from bridge.web.described import Described

ALL: Final = "/api/agent_workers"
RANGE: Final = re.compile(r"bytes=(\d{1,12})-(\d{0,12})")
BYTES: Final = "application/octet-stream"
Count = Annotated[int, Meta(ge=0, le=2**53)]


class For(Struct):
    """Query: the platform, and how much of the bundle is there, for whoever looks at a job that waits."""

    platform: str
    have: Count = 0
    of: Count = 0


class Of(For):
    bundle: str = ""


class Said(Struct):
    """What a bundle consists of: JSON, signed as `<key id>.<base64>`. Or why not, and when to ask again."""

    manifest: str
    signature: str
    error: str
    again_s: float


class MadeFor(Struct):
    """What a script's lock asks for, on one platform. `error`: why it cannot be had there; null: it can."""

    platform: str
    error: str | None


class BundleRoutes:
    def __init__(self, bundles: Bundles, scripts: Scripts, gate: Gate) -> None:
        self._bundles = bundles
        self._scripts = scripts
        self._gate = gate

    def all(self) -> list[Described]:
        return [
            Described("GET", f"{ALL}/bundles", self.needed, gives=list[str]),
            Described("GET", f"{ALL}/bundle/{{bundle}}", self.manifest, query=For, gives=Said),
            Described(
                "GET",
                f"{ALL}/artefact/{{sha256}}",
                self.artefact,
                query=Of,
                gives=Any,
                status=206,
                media=BYTES,
            ),
            Described(
                "GET", "/api/w/{workspace}/scripts/bundles/p/{path:path}", self.made, gives=list[MadeFor]
            ),
        ]

    async def made(self, request: Request) -> Response:
        """For which platforms of sites what the script imports has been fetched, or why it cannot be."""
        await self._gate.member(request)
        script = await self._scripts.at_path(request.path_params["workspace"], request.path_params["path"])
        made = await self._bundles.made_for(script["language"], script["lock"])
        return json_reply([MadeFor(platform, error or None) for platform, error in made])

    async def needed(self, request: Request) -> Response:
        """The bundles of deployed scripts that have one of the token's tags."""
        claims = await self._gate.agent(request)
        return json_reply(await self._bundles.needed(claims.tags))

    async def manifest(self, request: Request) -> Response:
        """What a bundle consists of on a platform. What is not made yet is begun."""
        claims = await self._gate.agent(request)
        wanted, bundle = typed_query(request, For), request.path_params["bundle"]
        await self._require_allowed(claims, bundle)
        said = await self._bundles.said(bundle, wanted.platform)
        want = Want(bundle=bundle, platform=wanted.platform, have=wanted.have, of=wanted.of)
        await self._bundles.note_progress(claims.worker, want, said.error)
        signature = signature_text(said.kid, said.sig) if said.manifest else ""
        return json_reply(Said(said.manifest.decode(), signature, said.error, said.again_s))

    async def artefact(self, request: Request) -> Response:
        """Bytes of an artefact of the bundle: with `Range` a part, of 128 KiB at most; without, the first."""
        claims = await self._gate.agent(request)
        wanted, sha256 = typed_query(request, Of), request.path_params["sha256"]
        await self._require_allowed(claims, wanted.bundle)
        size = await self._bundles.size_of(wanted.bundle, wanted.platform, sha256)
        if size is None:
            raise NotFound("no such artefact in this bundle, or not here any more: ask for the bundle again")
        start, most = _range(request.headers.get("range"))
        if start >= size and size:
            return Response(status_code=416, headers={"Content-Range": f"bytes */{size}"})
        want = Want(
            bundle=wanted.bundle, platform=wanted.platform, sha256=sha256, start=start, size=most,
            have=wanted.have, of=wanted.of,
        )  # fmt: skip
        await self._bundles.note_progress(claims.worker, want)
        part = await self._bundles.part(want, most)
        headers = {"Content-Range": f"bytes {start}-{start + len(part) - 1}/{size}", "Accept-Ranges": "bytes"}
        return Response(part, 206, headers, BYTES)

    async def _require_allowed(self, claims: Claims, bundle: str) -> None:
        """I4: only what jobs of its own tags need."""
        if not await self._bundles.may_have(bundle, claims.tags):
            raise NotFound("no job or script of the token's tags needs this bundle")


def _range(text: str | None) -> tuple[int, int]:
    """The first byte, and how many at most. Raises `BadRequest`."""
    if text is None:
        return 0, PART_MAX_BYTES
    found = RANGE.fullmatch(text.strip())
    if found is None:
        raise BadRequest("Range must be bytes=<first>-<last>, one range only")
    start = int(found[1])
    last = int(found[2]) if found[2] else start + PART_MAX_BYTES
    return start, max(1, min(PART_MAX_BYTES, last - start + 1))
