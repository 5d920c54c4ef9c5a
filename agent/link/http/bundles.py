"""What jobs import, over HTTP: each question is one request, and a part of an artefact a range of it."""

from typing import Final

from agent.errors import Unwanted
from agent.link.http.api import Api
from agent.wire.errors import Malformed
from agent.wire.messages import Bundle, Needed, Part, Want
from agent.wire.proofs import read_signature

AGAIN_S: Final = 60.0  # after an answer that makes no sense


async def brought(api: Api, want: Want) -> Bundle | Part | Needed:
    """The answer, as it comes over RabbitMQ. Raises `LinkDown`."""
    if want.sha256:
        try:
            part = await api.artefact(want)
        except Unwanted:
            part = b""
        return Part(sha256=want.sha256, start=want.start, part=part)
    if not want.bundle:
        return Needed(bundles=await api.needed_bundles())
    try:
        answer = await api.bundle(want)
        kid, signature = read_signature(answer.get("signature") or ".")
        return Bundle(
            bundle=want.bundle,
            platform=want.platform,
            manifest=str(answer.get("manifest") or "").encode(),
            kid=kid,
            sig=signature,
            error=str(answer.get("error") or ""),
            again_s=float(answer.get("again_s") or 0.0),
        )
    except (Unwanted, Malformed, ValueError, TypeError, AttributeError) as error:
        return Bundle(bundle=want.bundle, platform=want.platform, error=str(error), again_s=AGAIN_S)
