"""Enrolment over HTTP: the agent token in, the link to use out (DESIGN section 6)."""

import base64
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Any, Final

from agent.errors import AdmissionWaits, DeviceRefused, LinkDown, NoEnrolment, TokenRefused
from agent.link.link import Enrolment, LinkKind
from agent.logs import Secret
from agent.tls.outbound import SYSTEM, Outbound
from agent.trust import Keyring, SigningKey
from agent.wire import proofs, revoked
from agent.wire.admission import wait_of
from agent.wire.tokens import bearer_of, said_by

if TYPE_CHECKING:
    import httpx

ENROL_S: Final = 10.0
PATH: Final = "/api/agent_workers/enroll"
PROBE: Final = "/api/agent_workers/get_min_version"


async def enrol(
    base_url: str,
    token: Secret,
    suffix: str,
    about: dict[str, Any],
    outbound: Outbound = SYSTEM,
    device: SigningKey | None = None,
) -> Enrolment:
    """Ask the cluster for a link, as the device that has this key.

    Raises `TokenRefused` (401, 403), `DeviceRefused` (403 of a bridge), `NoEnrolment` (404), `AdmissionWaits`
    (429 of a bridge), `LinkDown`. A cluster that has no enrolment and takes the token is a plain one.
    """
    from agent.tls.http import client  # noqa: PLC0415 the largest part of an idle agent's memory: httpx

    try:
        asking = client(outbound, timeout=ENROL_S)
    except OSError as error:
        raise LinkDown(str(error)) from error
    async with asking:
        return await enrol_by(asking, base_url, token, suffix, about, outbound, device)


async def enrol_by(
    client: "httpx.AsyncClient",
    base_url: str,
    token: Secret,
    suffix: str,
    about: dict[str, Any],
    outbound: Outbound = SYSTEM,
    device: SigningKey | None = None,
) -> Enrolment:
    """As `enrol`, by a client that is there: making one costs 30 ms, and a fleet in one process has many."""
    import httpx  # noqa: PLC0415 see above

    from agent.tls.http import why_http  # noqa: PLC0415 see above

    headers = {
        "Authorization": f"Bearer {bearer_of(token.reveal(), suffix)}",
        "User-Agent": "Orvanta-Edge/0.1",
    }
    try:
        response = await _asked(client, base_url + PATH, headers, about, device)
    except (httpx.HTTPError, OSError) as error:
        reason = await why_http(error, base_url, outbound)
        raise LinkDown(f"cannot reach {base_url}: {reason}") from error
    _require_taken(response)
    if response.status_code == httpx.codes.NOT_FOUND:
        return await _plain(client, base_url, token, suffix, headers)
    wait_s = wait_of(response.headers) if response.status_code == httpx.codes.TOO_MANY_REQUESTS else None
    if wait_s is not None:
        raise AdmissionWaits(f"waits for its admission: {response.text[:200].strip()}", wait_s)
    if not response.is_success:
        raise LinkDown(f"enrolment at {base_url} answered {response.status_code}: {response.text[:200]}")
    return from_json(response.text)


async def _asked(
    client: "httpx.AsyncClient",
    url: str,
    headers: Mapping[str, str],
    about: dict[str, Any],
    device: SigningKey | None,
) -> "httpx.Response":
    """The bridge's answer. One that knows of devices asks first for a signature that nobody has seen yet."""
    import httpx  # noqa: PLC0415 see above

    if device is None:
        return await client.post(url, json=about, headers=headers)
    shown = {"key": base64.b64encode(device.public).decode()}
    response = await client.post(url, json=about | {"device": shown}, headers=headers)
    challenge = response.headers.get(proofs.CHALLENGE)
    if response.status_code != httpx.codes.PRECONDITION_REQUIRED or challenge is None:
        return response
    _, signature = device.sign(proofs.enrolment(challenge))
    proof = {"challenge": challenge, "signature": base64.b64encode(signature).decode()}
    return await client.post(url, json=about | {"device": shown | proof}, headers=headers)


async def _plain(
    client: "httpx.AsyncClient", base_url: str, token: Secret, suffix: str, headers: dict[str, str]
) -> Enrolment:
    """What a plain Orvanta would say. It must take the token: a proxy that lost its way answers 404 too."""
    import httpx  # noqa: PLC0415 see above

    try:
        response = await client.get(base_url + PROBE, headers=headers)
        _require_taken(response)
        if not response.is_success:
            raise _no_enrolment(base_url)
        response.json()
        claims = said_by(token.reveal())  # unverified: the cluster checks it on every request
        group, tags = str(claims["worker_group"]), tuple(sorted(map(str, claims["tags"])))
    except (httpx.HTTPError, OSError) as error:
        raise LinkDown(f"cannot reach {base_url}: {type(error).__name__}: {error}") from error
    except (ValueError, LookupError, TypeError) as error:
        raise _no_enrolment(base_url) from error
    return Enrolment(
        worker=f"ag-{group}-{suffix}",
        worker_group=group,
        tags=tags,
        shared_tags=tags,  # nobody says who else serves them, so nothing is hoarded
        link=LinkKind.PLAIN,
    )


def _require_taken(response: "httpx.Response") -> None:
    if proofs.DEVICE in response.headers:
        raise DeviceRefused(
            f"the bridge refuses this device: {response.text[:300].strip()} "
            "Held jobs go on and their results are kept."
        )
    if response.status_code in (401, 403):
        raise TokenRefused(
            f"the cluster refused the agent token ({response.text[:200].strip()}); mint a new one "
            "and set AGENT_TOKEN. Held jobs go on and their results are kept.",
            response.headers.get(revoked.HEADER, ""),
        )


def _no_enrolment(base_url: str) -> NoEnrolment:
    return NoEnrolment(
        f"{base_url} answers 404 to enrolment and is no cluster that takes this token either; point "
        "BASE_INTERNAL_URL at an Orvanta."
    )


def from_json(text: str) -> Enrolment:
    """Raises `LinkDown` when it is not an enrolment: the other side is not what we think."""
    try:
        raw = json.loads(text)
        return Enrolment(
            worker=raw["worker"],
            worker_group=raw["worker_group"],
            tags=tuple(raw["tags"]),
            shared_tags=tuple(raw["shared_tags"]),
            link=LinkKind(raw.get("link", LinkKind.AMQP)),
            amqp_url=raw["amqp_url"],
            keys=dict(raw["keys"]),
            base_url=raw.get("base_url", ""),
            introductions=tuple(raw.get("introductions", ())),
            signs_control=raw.get("signs_control") is True,
            ticket=raw.get("ticket", ""),
            bundles=raw.get("bundles") is True,
            wall_s=raw.get("wall_s"),
            token=raw.get("token", ""),
            routes_languages=raw.get("routes_languages") is True,
        )
    except (ValueError, KeyError, TypeError) as error:
        raise LinkDown(
            f"the answer to enrolment cannot be read ({error!r}); is this an Orvanta bridge?"
        ) from error


def to_json(enrolment: Enrolment) -> str:
    """Without a token that was handed over: that has a file of its own."""
    return json.dumps(asdict(replace(enrolment, token="")))


def keyring(enrolment: Enrolment) -> Keyring:
    """The keys of the bridge: the check that every job, and every word of it, must pass (I4)."""
    return Keyring({kid: base64.b64decode(raw) for kid, raw in enrolment.keys.items()})
