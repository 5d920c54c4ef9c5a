"""What comes with a revoked token, or of an attempt that was taken for it, is kept and not believed."""

import asyncio
import hashlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.wire.claims import Attempt, JobId, TokenId, WorkerName
from agent.wire.envelope import pack
from agent.wire.messages import Accepted, Blob, Grant, Log, Receipt, Result
from agent.wire.routing import EVENTS, LOGS, RESULTS
from bridge.errors import BadRequest, NotFound
from bridge.relay.assembling import Assembly
from bridge.relay.collector import Collector
from bridge.relay.ledger import Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.shelf import Kept
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from bridge.store.on_server import OnServer
from tests.support.carrier import TOKEN, Carrier, enrolled, taken
from tests.support.cluster import Running, running_cluster

SHOP = WorkerName("ag-shop-a")
NEW = TokenId("new")
LARGE = b'"large"'


@dataclass
class Relay:
    running: Running
    ledger: Ledger
    carrier: Carrier
    lost: Lost
    quarantine: Quarantine
    job_id: JobId
    revoked: set[TokenId] = field(default_factory=set)

    async def revoke(self) -> None:
        self.revoked.add(TOKEN)
        await self.lost.take_from(SHOP, "its token was revoked", is_trusted=False)

    async def bring(self, token: TokenId, document: bytes = b'"late"', **about: object) -> None:
        result = Result(
            job_id=self.job_id, attempt=Attempt(1), workspace="main", success=True, document=document, **about
        )
        assert await self.carrier.up(RESULTS, SHOP, result, token=token)

    async def states(self) -> list[tuple[int, str, str | None]]:
        return sorted((row["attempt"], row["state"], row["outcome"]) for row in await self.ledger.custody())


@pytest.fixture
async def relay(store_place: Path | OnServer) -> AsyncIterator[Relay]:
    """One job is out; the shop may take it."""
    async with running_cluster(store_place) as running:
        source = LocalSource(running.cluster.jobs)
        ledger, carrier = Ledger(running.store, running.clock), Carrier()
        custody = await taken(running, source, ledger)
        await enrolled(ledger, SHOP, "bash")
        recorder = Recorder(source, ledger, running.clock)
        lost = Lost(recorder, ledger, running.clock, Policies())
        revoked: set[TokenId] = set()

        async def is_revoked(token: TokenId) -> bool:
            return token in revoked

        quarantine = Quarantine(ledger, recorder, is_revoked)
        proofs, signer = running.cluster.devices.require_signed, await Signer.load(ledger)
        collector = Collector(
            source, ledger, carrier, lost, recorder, quarantine, running.clock, proofs, signer
        )
        collecting = asyncio.ensure_future(collector.run())
        await asyncio.sleep(0)
        yield Relay(running, ledger, carrier, lost, quarantine, custody.job_id, revoked)
        collecting.cancel()
        await asyncio.wait([collecting])


async def accept(relay: Relay) -> None:
    assert await relay.carrier.up(EVENTS, SHOP, Accepted(job_id=relay.job_id, attempt=Attempt(1)))


@pytest.mark.on_both_stores
@pytest.mark.parametrize("token", [TOKEN, NEW])
async def test_a_late_result(relay: Relay, token: TokenId) -> None:
    """With the revoked token; and with a new one, of what was taken from the agent before."""
    await accept(relay)
    await relay.revoke()
    await relay.bring(token)
    assert await relay.states() == [(1, "closed", "lost"), (2, "taken", None)]
    (row,) = await relay.quarantine.listed()
    assert (row["worker"], row["bytes"], row["decision"], row["may_accept"]) == (SHOP, 6, None, 1)
    # whoever has the revoked token is told nothing
    assert (Receipt(job_id=relay.job_id, attempt=Attempt(1)) in relay.carrier.told) == (token == NEW)
    kept = Kept(relay.job_id, Attempt(1), SHOP)
    assert await relay.quarantine.document(kept) == b'"late"'
    await relay.quarantine.accept(kept, "ana")
    assert (await relay.running.job(relay.job_id))["result"] == "late"
    assert await relay.states() == [(1, "closed", "success"), (2, "closed", "superseded")]
    (row,) = await relay.quarantine.listed()
    assert (row["decision"], row["decided_by"], row["bytes"]) == ("accepted", "ana", None)
    with pytest.raises(NotFound):
        await relay.quarantine.accept(kept, "ana")


async def test_one_that_came_after_the_jobs_end_can_only_be_read(relay: Relay) -> None:
    await accept(relay)
    await relay.bring(NEW, b'"first"')
    await relay.revoke()
    await relay.bring(TOKEN, b'"second"')
    kept = Kept(relay.job_id, Attempt(1), SHOP)
    with pytest.raises(BadRequest, match="keeps its recorded result"):
        await relay.quarantine.accept(kept, "ana")
    assert (await relay.running.job(relay.job_id))["result"] == "first"
    await relay.quarantine.reject(kept, "ana")
    with pytest.raises(NotFound):
        await relay.quarantine.document(kept)


async def test_an_acceptance_that_was_on_its_way(relay: Relay) -> None:
    """The job has left its queue: it goes out again at once, and not after its lost_after."""
    relay.revoked.add(TOKEN)
    await accept(relay)
    assert await relay.states() == [(1, "closed", "lost"), (2, "taken", None)]
    assert not [one for one in relay.carrier.told if isinstance(one, Grant)]
    await relay.bring(NEW)
    assert [row["job_id"] for row in await relay.quarantine.listed()] == [relay.job_id]


async def test_log_text_is_not_believed(relay: Relay) -> None:
    await accept(relay)
    relay.revoked.add(TOKEN)
    assert await relay.carrier.up(
        LOGS, SHOP, Log(job_id=relay.job_id, attempt=Attempt(1), offset=0, text="x")
    )
    logged = await relay.running.admin.get(f"/api/w/main/jobs_u/get_logs/{relay.job_id}")
    assert logged.text == ""


async def test_a_large_one_is_kept_with_its_parts(relay: Relay) -> None:
    """Also when the job is over by then."""
    await accept(relay)
    await relay.revoke()
    custody = await relay.ledger.find((relay.job_id, Attempt(2)))
    assert custody is not None
    await relay.ledger.close((relay.job_id, Attempt(2)), "success")
    sha256 = hashlib.sha256(LARGE).hexdigest()
    part = Blob(job_id=relay.job_id, attempt=Attempt(1), sha256=sha256, index=0, of=1, part=LARGE)
    assert await relay.carrier.up(RESULTS, SHOP, part)
    await relay.bring(TOKEN, b"", blob_sha256=sha256)
    assert await relay.quarantine.document(Kept(relay.job_id, Attempt(1), SHOP)) == LARGE


class NoParts(Assembly):
    async def document_of(self, _result: Result) -> bytes:
        raise TimeoutError  # as after its patience


async def test_one_whose_parts_never_came_cannot_be_accepted(relay: Relay) -> None:
    """Nor can one of a job that was handed out over HTTP, where nothing is."""
    kept = Kept(relay.job_id, Attempt(1), SHOP)
    result = Result(job_id=kept.job_id, attempt=kept.attempt, workspace="main", success=True)
    await relay.quarantine.keep(SHOP, result, NoParts(relay.ledger))
    with pytest.raises(NotFound):
        await relay.quarantine.accept(kept, "ana")
    other = Kept(JobId("of no ledger"), Attempt(1), SHOP)
    assert await relay.ledger.shelf.offer(other, pack([result]), b"1") == "kept"
    with pytest.raises(BadRequest, match="has ended"):
        await relay.quarantine.accept(other, "ana")
