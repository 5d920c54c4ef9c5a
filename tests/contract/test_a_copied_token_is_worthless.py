"""A token belongs to the device that enrolled with it first, or that an admin approved (DESIGN section 5)."""

import time
from base64 import b64encode
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from agent.clock import SystemClock
from agent.errors import DeviceRefused
from agent.link.enrol import enrol_by
from agent.link.link import Enrolment
from agent.logs import Secret
from agent.trust import SigningKey
from agent.wire import proofs
from agent.wire.claims import Tag, WorkerName
from agent.wire.tokens import bearer_of, with_ticket
from bridge.agents.enrol import Enrolments
from bridge.agents.static_users import without_login
from bridge.devices.service import WAITING_MAX, Rules
from bridge.relay.ledger import Ledger
from bridge.store.on_server import OnServer
from bridge.web.asgi import build
from tests.contract.conftest import STORES
from tests.support.cluster import BASE_URL, Running, client_of, running_cluster
from tests.support.databases import TEMPLATE, on_server

ALL = "/api/agent_workers"
TRY = f"{ALL}/get_min_version"
ABOUT = {"version": "0", "slots": 1}
NUMBERS = count()

pytestmark = pytest.mark.asyncio(loop_scope="module")


def respelt(token: Secret) -> Secret:
    """The same token in other letters, which verifies as well."""
    return Secret(f"{token.reveal()}=")


async def let_in(_worker: WorkerName, _tags: frozenset[Tag]) -> None: ...


@dataclass
class Site:
    """What one test has of a bridge: two devices, and a name that the first of them goes by."""

    running: Running
    enrolments: Enrolments
    name: str = field(default_factory=lambda: f"till-{next(NUMBERS)}")
    till: SigningKey = field(default_factory=SigningKey.made)
    copy: SigningKey = field(default_factory=SigningKey.made)

    @property
    def worker(self) -> str:
        return f"ag-pos-{self.name}"

    async def token(self, *tags: str, **asked: object) -> Secret:
        body = {"worker_group": "pos", "tags": list(tags) or ["bash"], "exp": int(time.time()) + 3600}
        minted = (await self.running.admin.post(f"{ALL}/create_agent_token", json=body | asked)).json()
        return Secret(minted)

    async def come(self, token: Secret, device: SigningKey | None, suffix: str = "") -> Enrolment:
        suffix = suffix or self.name
        async with client_of(build(self.enrolments.routes()), None) as client:
            return await enrol_by(client, BASE_URL, token, suffix, dict(ABOUT), device=device)

    async def refusal(self, token: Secret, device: SigningKey | None, suffix: str = "") -> str:
        with pytest.raises(DeviceRefused) as refused:
            await self.come(token, device, suffix)
        return str(refused.value)

    async def status(self, token: Secret, ticket: str = "", suffix: str = "") -> int:
        """Of a request with this bearer."""
        bearer = with_ticket(bearer_of(token.reveal(), suffix or self.name), ticket)
        return (await self.running.client(bearer).get(TRY)).status_code

    async def devices(self) -> list[dict[str, Any]]:
        """Those of this test's."""
        listed = (await self.running.admin.get(f"{ALL}/devices")).json()
        return [one for one in listed if self.name in one["worker"]]

    async def change(self, what: str, device: SigningKey) -> int:
        answer = await self.running.admin.post(f"{ALL}/{what}_device", json={"device": device.kid})
        return answer.status_code


@asynccontextmanager
async def opened(place: Path | OnServer, rules: Rules) -> AsyncIterator[Site]:
    async with running_cluster(place, rules) as running:
        enrolments = Enrolments(
            Ledger(running.store, running.clock), running.cluster.devices, running.cluster.successors, let_in,
            running.signer, None, without_login, clock=SystemClock(), admissions_per_s=10_000,
        )  # fmt: skip
        yield Site(running, enrolments)


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=STORES)
async def bridge(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """One for all tests, on each store; each test has devices, tokens and names of its own."""
    folder = tmp_path_factory.mktemp("bridge")
    with ExitStack() as stack:
        place: Path | OnServer = folder
        if request.param == "postgresql":
            server = request.getfixturevalue("database_server")
            place = on_server(server, stack.enter_context(server.fresh(TEMPLATE)), folder)
        async with opened(place, Rules()) as made:
            yield made


@pytest.fixture
def site(bridge: Site) -> Site:
    bridge.running.clock.ahead_s = 0
    return Site(bridge.running, bridge.enrolments)


async def test_the_first_device_has_it_and_a_copy_is_refused_and_reported(site: Site) -> None:
    token = await site.token()
    ticket = (await site.come(token, site.till)).ticket
    assert await site.status(token, ticket) == 200
    assert (await site.come(token, site.till)).ticket  # it comes back
    refused = await site.refusal(token, site.copy, f"{site.name}-copy")
    assert f"belongs to another device ({site.till.kid})" in refused
    assert f"Its key is {site.copy.kid}: an admin may approve it." in refused
    assert "shows no device key" in await site.refusal(token, None)
    assert await site.status(token) == 401
    for stolen in (ticket[:-4] + "AAAA", "noise", "~"):
        assert await site.status(token, stolen) == 401
    assert await site.status(token, ticket, suffix=f"{site.name}-copy") == 401  # another worker's
    assert await site.status(await site.token(), ticket) == 401  # another token's
    assert await site.status(respelt(token)) == 401
    await site.refusal(respelt(token), site.copy, f"{site.name}-copy")
    assert [(one["device"], one["state"], one["worker"]) for one in await site.devices()] == [
        (site.copy.kid, "waiting", f"{site.worker}-copy"),
        (site.till.kid, "bound", site.worker),
    ]


async def test_a_lost_key_is_mended_by_an_admin(site: Site) -> None:
    token = await site.token()
    old = (await site.come(token, site.till)).ticket
    again = SigningKey.made()
    await site.refusal(token, again)
    assert await site.change("approve", again) == 200
    assert await site.status(token, (await site.come(token, again)).ticket) == 200
    assert await site.status(token, old) == 200  # what it signed before is on its way
    assert await site.change("forget", site.till) == 200
    assert await site.status(token, old) == 401
    await site.refusal(token, site.till)
    assert await site.change("approve", site.copy) == 404
    assert await site.change("forget", site.copy) == 404


async def test_a_ticket_and_a_challenge_end(site: Site) -> None:
    token = await site.token(exp=int(time.time()) + 30 * 86_400)
    ticket = (await site.come(token, site.till)).ticket
    site.running.clock.ahead_s = 8 * 86_400
    assert await site.status(token, ticket) == 401
    assert await site.status(token, (await site.come(token, site.till)).ticket) == 200


async def test_whoever_has_not_the_key_proves_nothing(site: Site) -> None:
    """The public half is no secret, and a proof that was seen is none later."""
    bearer = bearer_of((await site.token()).reveal(), site.name)
    key = b64encode(site.till.public).decode()
    async with client_of(build(site.enrolments.routes()), bearer) as client:

        async def show(**proof: str) -> tuple[int, str]:
            body = ABOUT | {"device": {"key": key} | proof}
            answer = await client.post(f"{ALL}/enroll", json=body)
            return answer.status_code, answer.headers.get(proofs.CHALLENGE, "")

        status, challenge = await show()
        assert status == 428
        _, forged = site.copy.sign(proofs.enrolment(challenge))
        assert (await show(challenge=challenge, signature=b64encode(forged).decode()))[0] == 403
        _, true = site.till.sign(proofs.enrolment(challenge))
        signature = b64encode(true).decode()
        site.running.clock.ahead_s = 61
        assert (await show(challenge=challenge, signature=signature))[0] == 428
        site.running.clock.ahead_s = 0
        assert (await show(challenge="noise", signature=signature))[0] == 428
        assert (await show(challenge=challenge, signature="süd"))[0] == 400
        assert (
            await client.post(f"{ALL}/enroll", json=ABOUT | {"device": {"key": "AAAA"}})
        ).status_code == 400
        assert (await show(challenge=challenge, signature=signature))[0] == 200


async def test_a_token_minted_as_shared_is_for_many_machines(site: Site) -> None:
    token = await site.token(shared=True)
    tickets = [
        (await site.come(token, one, f"{site.name}-{n}")).ticket
        for n, one in enumerate((site.till, site.copy))
    ]
    for number, ticket in enumerate(tickets):
        assert await site.status(token, ticket, f"{site.name}-{number}") == 200
        assert await site.status(token, suffix=f"{site.name}-{number}") == 401  # a device's name is its own
    assert await site.status(token, suffix="stock-worker") == 200
    assert f"another device has the name {site.worker}-0" in await site.refusal(
        token, site.copy, f"{site.name}-0"
    )
    assert not (await site.come(token, None, "old-release")).ticket


async def test_another_token_gives_nobody_a_devices_name(site: Site) -> None:
    await site.come(await site.token(), site.till)
    other = await site.token()
    assert f"has the name {site.worker}" in await site.refusal(other, site.copy)
    assert "shows no device key" in await site.refusal(other, None)
    assert await site.status(other) == 401
    assert (await site.come(other, site.till)).ticket  # the same device, with a new token


async def test_what_waits_is_bounded(site: Site) -> None:
    token = await site.token()
    await site.come(token, site.till)
    for number in range(WAITING_MAX + 3):
        await site.refusal(token, SigningKey.made(), f"{site.name}-copy-{number}")
    assert len(await site.devices()) == WAITING_MAX + 1


async def test_where_approval_is_required_the_first_device_waits_too(tmp_path: Path) -> None:
    async with opened(tmp_path, Rules(require_approval=True)) as site:
        token = await site.token()
        assert await site.status(token) == 401
        assert "needs an admin's approval" in await site.refusal(token, site.till)
        assert "shows no device key" in await site.refusal(token, None)
        await site.change("approve", site.till)
        assert await site.status(token, (await site.come(token, site.till)).ticket) == 200
        assert await site.status(await site.token(shared=True), suffix="stock-worker") == 200


async def test_only_a_superadmin_sees_and_changes_them(site: Site) -> None:
    token = await site.token()
    agent = site.running.client(
        with_ticket(bearer_of(token.reveal(), site.name), (await site.come(token, site.till)).ticket)
    )
    assert (await agent.get(f"{ALL}/devices")).status_code == 401
    for path, body in (
        ("approve_device", {"device": site.copy.kid}),
        ("forget_device", {"device": site.till.kid}),
        ("rotate_token", {"token": token.reveal(), "exp": 2_000_000_000}),
    ):
        assert (await agent.post(f"{ALL}/{path}", json=body)).status_code == 401


async def test_a_new_token_is_handed_over_and_ends_the_old_one(site: Site) -> None:
    token = await site.token()
    ticket = (await site.come(token, site.till)).ticket
    asked = {"token": token.reveal(), "exp": int(time.time()) + 7200, "tags": ["bash", "more"]}
    new = Secret((await site.running.admin.post(f"{ALL}/rotate_token", json=asked)).json())
    bearer = with_ticket(bearer_of(token.reveal(), site.name), ticket)
    pulled = await site.running.client(bearer).post(f"{ALL}/pull_job", content=b"null")
    assert (pulled.status_code, pulled.headers[proofs.RENEW]) == (200, "now")  # over the link that is up
    assert (await site.come(token, site.till)).token == new.reveal()
    assert (await site.come(token, site.till)).token == new.reveal()  # an answer that is lost costs nothing
    enrolled = await site.come(new, site.till)
    assert (enrolled.worker, enrolled.tags, enrolled.token) == (site.worker, ("bash", "more"), "")
    assert await site.status(new, enrolled.ticket) == 200
    assert await site.status(token, ticket) == 401
    held = await site.running.client(with_ticket(bearer_of(new.reveal(), site.name), enrolled.ticket)).post(
        f"{ALL}/held_jobs", json={"jobs": []}
    )
    assert (held.status_code, proofs.RENEW in held.headers) == (200, False)
    await site.refusal(new, site.copy, f"{site.name}-copy")


async def test_a_shared_tokens_successor_is_for_all_its_agents(site: Site) -> None:
    token = await site.token(shared=True)
    for number, device in enumerate((site.till, site.copy)):
        await site.come(token, device, f"{site.name}-{number}")
    asked = {"token": token.reveal(), "exp": int(time.time()) + 7200}
    new = Secret((await site.running.admin.post(f"{ALL}/rotate_token", json=asked)).json())
    await site.come(new, site.till, f"{site.name}-0")
    assert (await site.come(token, site.copy, f"{site.name}-1")).token == new.reveal()


async def test_a_successor_of_nothing_is_a_bad_request(site: Site) -> None:
    for token in ("noise", (await site.token()).reveal()[:-4] + "AAAA"):
        asked = {"token": token, "exp": int(time.time()) + 7200}
        assert (await site.running.admin.post(f"{ALL}/rotate_token", json=asked)).status_code == 400
