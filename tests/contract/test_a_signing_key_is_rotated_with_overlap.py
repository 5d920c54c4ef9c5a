"""I4: a site trusts a new signing key only by the word of one that it trusts, with or without a link."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from agent.clock import SystemClock
from agent.compression import compress, decompress
from agent.trust import Keyring, SigningKey
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import INTRODUCED, Envelope, open_job, pack, seal, unseal
from agent.wire.errors import BadSignature
from agent.wire.messages import Job
from bridge.relay.ledger import Ledger
from bridge.relay.signer import CHAIN_MAX, Signer, rotate
from bridge.store.connection import open_store
from bridge.store.on_server import OnServer

JOB = Job(
    job_id=JobId("j"),
    attempt=Attempt(1),
    workspace="main",
    tag=Tag("t"),
    language="bash",
    code="",
    args=b"{}",
)

pytestmark = pytest.mark.on_both_stores


@dataclass
class Bridge:
    ledger: Ledger
    signer: Signer

    async def rotate(self) -> str:
        kid = await rotate(self.ledger)
        await self.signer.refresh(self.ledger)
        return kid

    async def retire(self, kid: str) -> bool:
        retired = await self.ledger.retire_key(kid)
        await self.signer.refresh(self.ledger)
        return retired

    def job(self) -> Envelope:
        return self.signer.seal(pack([JOB]))


@pytest.fixture
async def bridge(store_place: Path | OnServer) -> AsyncIterator[Bridge]:
    store = await open_store(store_place / "bridge.db" if isinstance(store_place, Path) else store_place)
    ledger = Ledger(store, SystemClock())
    yield Bridge(ledger, await Signer.load(ledger))
    await store.close()


def opened(ring: Keyring, envelope: Envelope) -> Job:
    ring.learn(envelope.headers.get(INTRODUCED, "").split())
    body = unseal(envelope.body, envelope.content_encoding, decompress)
    return open_job(body, envelope.headers, ring.verify)


async def test_an_agent_that_slept_through_rotations_takes_the_newest_keys_jobs(bridge: Bridge) -> None:
    pinned = bridge.signer.public_keys()
    before = bridge.job()
    kids = [await bridge.rotate() for _ in range(3)]
    after = bridge.job()
    assert after.headers["kid"] == kids[-1] == next(iter(bridge.signer.public_keys()))
    ring = Keyring(pinned)
    assert opened(ring, after) == opened(ring, before) == JOB  # what was in a queue holds as well


async def test_nobody_else_introduces_a_key(bridge: Bridge) -> None:
    stranger, accomplice = SigningKey.made(), SigningKey.made()
    ring = Keyring(bridge.signer.public_keys())
    body = pack([JOB])
    for chain in (
        [stranger.introduce(accomplice).text(), accomplice.introduce(stranger).text()],
        [stranger.introduce(stranger).text()],
        ["noise", "a.b.c", f"{'A' * 44}.{bridge.job().headers['kid']}.AAAA"],
    ):
        ring.learn(chain)
        forged = seal(body, compress, stranger.sign)
        with pytest.raises(BadSignature, match=stranger.kid):
            open_job(body, forged.headers, ring.verify)


async def test_a_retired_key_is_trusted_by_nobody_who_enrols(bridge: Bridge) -> None:
    (first,) = bridge.signer.public_keys()
    by_first = bridge.job()
    second = await bridge.rotate()
    assert set(bridge.signer.public_keys()) == {first, second}
    assert await bridge.retire(first)
    assert set(bridge.signer.public_keys()) == {second}
    with pytest.raises(BadSignature, match=first):
        opened(Keyring(bridge.signer.public_keys()), by_first)
    assert opened(Keyring(bridge.signer.public_keys()), bridge.job()) == JOB
    assert not await bridge.retire(second)  # without a key nothing could be signed
    assert not await bridge.retire("unknown")


async def test_what_goes_with_each_job_is_bounded(bridge: Bridge) -> None:
    for _ in range(CHAIN_MAX + 2):
        await bridge.rotate()
    assert len(bridge.signer.introductions()) == CHAIN_MAX
    known = list(bridge.signer.public_keys().items())[CHAIN_MAX]
    assert opened(Keyring(dict([known])), bridge.job()) == JOB
