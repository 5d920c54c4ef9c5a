"""Whether cluster and broker let this agent in, asked so that nothing changes there; and their clock."""

import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Final

from agent.errors import LinkDown
from agent.link.enrol import ENROL_S, PATH, PROBE
from agent.link.link import LinkKind
from agent.logs import Secret
from agent.site.checks import Check, fail, failed, ok, warn
from agent.site.known import Known, claims_of
from agent.tls.outbound import Outbound
from agent.wire import proofs
from agent.wire.tokens import bearer_of, with_ticket

if TYPE_CHECKING:
    import httpx

RENEW_S: Final = 14 * 86_400
OFF_S: Final = 5.0  # the bridge tells its time to the second
HALF_S: Final = 0.5
MADE_S: Final = 1_735_689_600  # 2025-01-01: no clock that is right shows less
HEARTBEAT_S: Final = 10
SAID_MAX: Final = 200
LOGIN: Final = "cluster login"
MINT: Final = "mint a new one, and set AGENT_TOKEN"
REFUSALS: Final = {401: ("the token", MINT), 403: ("this device", "have an admin approve it")}


@dataclass(frozen=True, slots=True)
class Answered:
    check: Check
    clock_offset_s: float | None = None  # ours minus the server's


def token_check(token: Secret) -> Check:
    """By what it says of itself and our own clock: it needs no link."""
    claims = claims_of(token)
    if not claims:
        return fail("token", "what the token says cannot be read", "copy it whole from where it was minted")
    tags = ", ".join(map(str, claims.get("tags", ()))) or "none"
    said = f"for the group {claims.get('worker_group')} and the tags {tags}"
    ends_s = claims.get("exp")
    if not isinstance(ends_s, int | float):
        return ok("token", said)
    until = datetime.fromtimestamp(ends_s, UTC).strftime("%Y-%m-%d %H:%M UTC")
    if ends_s < time.time():
        return fail("token", f"{said}; it ended at {until} by this device's clock", "mint a new one")
    if ends_s < time.time() + RENEW_S:
        return warn("token", f"{said}, until {until}", "let the agent link up: a bridge renews it by itself")
    return ok("token", f"{said}, until {until}")


def clock_check(offset_s: float | None) -> Check:
    if time.time() < MADE_S:
        shown = time.strftime("%Y-%m-%d", time.gmtime())
        return warn("clock", f"this device believes that it is {shown}", "set the clock (NTP), or TLS fails")
    if offset_s is None:
        return warn("clock", "not compared: no bridge has told us its time", "call this again with a link")
    if abs(offset_s) > OFF_S:
        side = "ahead of" if offset_s > 0 else "behind"
        return warn(
            "clock",
            f"{abs(offset_s):.0f} s {side} the bridge's: jobs run at their times all the same",
            "set the clock (NTP): logs and certificates go by it",
        )
    return ok("clock", "as the bridge's, to the second")


async def cluster_login(base_url: str, known: Known, slots: int, outbound: Outbound) -> Answered:
    """Enrols halfway: the bridge asks for the device's proof once the token holds, and gets none."""
    import httpx  # noqa: PLC0415 the largest part of what the doctor imports

    from agent.tls.http import client, why_http  # noqa: PLC0415 see above

    about = {"version": "doctor", "slots": slots, "device": {"key": known.device_key}}
    bearer = bearer_of(known.token.reveal(), known.suffix)
    try:
        async with client(outbound, timeout=ENROL_S) as asking:
            began_s = time.time()
            headers = {"Authorization": f"Bearer {bearer}"}
            response = await asking.post(base_url + PATH, json=about, headers=headers)
            offset_s = _offset_s(response, (began_s + time.time()) / 2)
            return Answered(await _judged(asking, base_url, known, bearer, response), offset_s)
    except (httpx.HTTPError, OSError) as error:
        reason = await why_http(error, base_url, outbound)
        return Answered(failed(LOGIN, f"cannot reach {base_url}: {reason}; is a bridge at this address?"))


async def broker_login(known: Known, outbound: Outbound) -> Check:
    """As the agent logs in, and out again. Consumes nothing."""
    from agent.broker_session import open_session  # noqa: PLC0415 not every link has a broker
    from agent.link.amqp import address  # noqa: PLC0415 see above

    if known.enrolment is None or known.enrolment.link is not LinkKind.AMQP:
        raise ValueError("there is no broker to log in to")
    plain = bearer_of(known.token.reveal(), known.suffix)
    url = address(known.enrolment, Secret(with_ticket(plain, known.enrolment.ticket)))
    name = f"doctor of {known.enrolment.worker}"
    try:
        async with open_session(url.reveal(), name, HEARTBEAT_S, LinkDown, outbound):
            return ok("broker login", f"the broker lets in {known.enrolment.worker}")
    except LinkDown as error:
        return fail(
            "broker login",
            f"the broker does not let us in: {error}",
            "it asks the bridge: is that up? Start the agent, so that it enrols anew",
        )


async def _judged(
    asking: "httpx.AsyncClient", base_url: str, known: Known, bearer: str, response: "httpx.Response"
) -> Check:
    said = response.text[:SAID_MAX].strip()
    code = response.status_code
    if code == HTTPStatus.PRECONDITION_REQUIRED and proofs.CHALLENGE in response.headers:
        return await _device(asking, base_url, known, bearer)
    if code == HTTPStatus.NOT_FOUND:
        return await _plain(asking, base_url, bearer)
    if response.is_success:
        return ok(LOGIN, "the bridge takes the token")
    if response.is_server_error:
        return fail(LOGIN, f"the bridge answers {code} ({said})", "look at the bridge; jobs here go on")
    what, mend = REFUSALS.get(code, ("enrolment", "is BASE_INTERNAL_URL that of a bridge?"))
    return fail(LOGIN, f"{what} is refused: {code} {said}", mend)


async def _device(asking: "httpx.AsyncClient", base_url: str, known: Known, bearer: str) -> Check:
    """The token holds. Whether the device is let in shows its ticket, which it has once it was."""
    ticket = "" if known.enrolment is None else known.enrolment.ticket
    if not ticket:
        return ok(LOGIN, "the bridge takes the token; no agent of this spool has enrolled with it yet")
    headers = {"Authorization": f"Bearer {with_ticket(bearer, ticket)}"}
    if (await asking.get(base_url + PROBE, headers=headers)).is_success:
        return ok(LOGIN, "the bridge takes the token, and this device")
    return warn(
        LOGIN,
        "the bridge takes the token, and not what this device was given when it enrolled last",
        "start the agent, so that it enrols anew; if it says device.refused, have an admin approve it",
    )


async def _plain(asking: "httpx.AsyncClient", base_url: str, bearer: str) -> Check:
    response = await asking.get(base_url + PROBE, headers={"Authorization": f"Bearer {bearer}"})
    if response.is_success:
        return ok(LOGIN, "a cluster without a bridge takes the token")
    if response.status_code in (401, 403):
        return fail(LOGIN, "the token is refused by a cluster without a bridge", MINT)
    return fail(LOGIN, f"{base_url} is no Orvanta", "set BASE_INTERNAL_URL to the address of one")


def _offset_s(response: "httpx.Response", our_s: float) -> float | None:
    with suppress(KeyError, ValueError, TypeError):
        return our_s - (parsedate_to_datetime(response.headers["date"]).timestamp() + HALF_S)
    return None
