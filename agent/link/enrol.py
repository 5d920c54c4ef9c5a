"""Enrolment over HTTP: the agent token in, the link to use out (DESIGN section 6)."""

import base64
import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from agent.errors import AdmissionWaits, LinkDown, NoEnrolment, TokenRefused
from agent.link.link import Enrolment
from agent.logs import Secret
from agent.trust import Keyring
from agent.wire.admission import wait_of
from agent.wire.envelope import Verify
from agent.wire.tokens import bearer_of

if TYPE_CHECKING:
    import httpx

ENROL_S: Final = 10.0
PATH: Final = "/api/agent_workers/enroll"


async def enrol(base_url: str, token: Secret, suffix: str, about: dict[str, Any]) -> Enrolment:
    """Ask the cluster for a link.

    Raises `TokenRefused` (401, 403), `NoEnrolment` (404), `AdmissionWaits` (429 of a bridge), `LinkDown`.
    """
    import httpx  # noqa: PLC0415 the largest part of an idle agent's memory, so imported only when used

    async with httpx.AsyncClient(timeout=ENROL_S) as client:
        return await enrol_by(client, base_url, token, suffix, about)


async def enrol_by(
    client: "httpx.AsyncClient", base_url: str, token: Secret, suffix: str, about: dict[str, Any]
) -> Enrolment:
    """As `enrol`, by a client that is there: making one costs 30 ms, and a fleet in one process has many."""
    import httpx  # noqa: PLC0415 see above

    headers = {
        "Authorization": f"Bearer {bearer_of(token.reveal(), suffix)}",
        "User-Agent": "Orvanta-Edge/0.1",
    }
    try:
        response = await client.post(base_url + PATH, json=about, headers=headers)
    except (httpx.HTTPError, OSError) as error:
        raise LinkDown(f"cannot reach {base_url}: {type(error).__name__}: {error}") from error
    if response.status_code in (401, 403):
        raise TokenRefused(
            f"the cluster refused the agent token ({response.text[:200].strip()}); mint a new one "
            "and set AGENT_TOKEN. Held jobs go on and their results are kept."
        )
    if response.status_code == httpx.codes.NOT_FOUND:
        raise NoEnrolment(
            f"{base_url} answers 404 to enrolment; point BASE_INTERNAL_URL at an Orvanta bridge."
        )
    wait_s = wait_of(response.headers) if response.status_code == httpx.codes.TOO_MANY_REQUESTS else None
    if wait_s is not None:
        raise AdmissionWaits(f"waits for its admission: {response.text[:200].strip()}", wait_s)
    if not response.is_success:
        raise LinkDown(f"enrolment at {base_url} answered {response.status_code}: {response.text[:200]}")
    return from_json(response.text)


def from_json(text: str) -> Enrolment:
    """Raises `LinkDown` when it is not an enrolment: the other side is not what we think."""
    try:
        raw = json.loads(text)
        return Enrolment(
            worker=raw["worker"],
            worker_group=raw["worker_group"],
            tags=tuple(raw["tags"]),
            shared_tags=tuple(raw["shared_tags"]),
            amqp_url=raw["amqp_url"],
            keys=dict(raw["keys"]),
            base_url=raw.get("base_url", ""),
            wall_s=raw.get("wall_s"),
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LinkDown(
            f"the answer to enrolment cannot be read ({error!r}); is this an Orvanta bridge?"
        ) from error


def to_json(enrolment: Enrolment) -> str:
    return json.dumps(asdict(enrolment))


def keyring(enrolment: Enrolment) -> Verify:
    """The check that every job must pass (I4)."""
    return Keyring({kid: base64.b64decode(raw) for kid, raw in enrolment.keys.items()}).verify
