"""A store that refuses everything ends no relay: it waits, and begins again with what is in custody."""

import asyncio
from pathlib import Path
from typing import Any

from bridge.relay.desk import Desk
from bridge.relay.ledger import Ledger
from bridge.relay.life import Relay
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from tests.support.cluster import running_cluster
from tests.support.until import until
from tests.unit.test_a_bridge_without_a_broker_waits_for_one import BASH, NoBroker


async def test_it_goes_on_by_itself(tmp_path: Path) -> None:
    async with running_cluster(tmp_path) as running:
        ledger, source, broker = (
            Ledger(running.store, running.clock),
            LocalSource(running.cluster.jobs),
            NoBroker(),
        )
        signer = await Signer.load(ledger)
        job_id = await running.preview(tag="bash")
        assert await source.pull(BASH) is not None
        store: Any = running.store
        store.may_use = lambda: False  # what its owner sets when the folder is gone
        kept = Quarantine(
            ledger, Recorder(source, ledger, running.clock), running.cluster.tokens.blacklist.holds
        )
        desk, proofs = Desk(broker.connect, ledger), running.cluster.devices.require_signed
        relay = Relay(desk, source, ledger, signer, running.clock, Policies(), kept, proofs, ready_max=1)
        task = asyncio.ensure_future(relay.run())
        await until(lambda: store.failing)
        answer = await running.admin.post(f"/api/w/main/jobs_u/queue/cancel/{job_id}", json={})
        assert (answer.status_code, answer.headers["Retry-After"]) == (503, "5")
        assert broker.asked == 0
        store.may_use = lambda: True
        await until(lambda: broker.asked, within_s=30)
        again = await source.pull(BASH)
        assert again is not None
        assert again.job_id == job_id
        assert not task.done()
        task.cancel()
        await asyncio.wait([task])
