"""The relay without a broker: what it sends is kept, and what agents would send is handed to it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from urllib.parse import quote

from agent.compression import compress, decompress
from agent.trust import SigningKey
from agent.wire.claims import Attempt, Claims, JobId, Tag, TokenId, WorkerName
from agent.wire.envelope import Envelope, pack, seal, unpack, unseal
from agent.wire.messages import Job, Message
from agent.wire.routing import DEAD, job_key, job_queue
from agent.wire.tokens import broker_login
from bridge.broker.channel import dead_letter
from bridge.errors import BrokerDown
from bridge.relay.collector import Collector
from bridge.relay.ledger import Custody, Ledger
from bridge.relay.lost import Lost
from bridge.relay.policy import Policies
from bridge.relay.quarantine import Quarantine
from bridge.relay.recorder import Recorder
from bridge.relay.signer import Signer
from bridge.relay.sources.local import LocalSource
from tests.support.cluster import Running

TOKEN = TokenId("test")

Arrived = Callable[["Letter"], Awaitable[None]]


@dataclass(eq=False)
class Letter:
    """A message in the relay's hands."""

    routing_key: str
    body: bytes
    content_encoding: str | None
    user_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    done: asyncio.Future[bool] = field(default_factory=asyncio.Future)

    async def ack(self) -> None:
        self.done.set_result(True)

    async def nack(self, *, requeue: bool) -> None:
        self.done.set_result(not requeue)


class Carrier:
    """Stands where `bridge.broker.channel.Broker` stands."""

    def __init__(self) -> None:
        self.is_down = False
        self.blocked = ""
        self.jobs: list[Envelope] = []
        self.told: list[Message] = []
        self.told_to: dict[WorkerName, list[Message]] = {}
        self.unread: dict[WorkerName, int] = {}  # what waits in an agent's control queue
        self.dead: list[tuple[bytes, str]] = []
        self._consumers: dict[str, Arrived] = {}

    async def ensure_tag(self, tag: Tag) -> None:
        job_queue(tag)

    async def publish_job(self, workspace: str, tag: Tag, envelope: Envelope) -> None:
        job_key(workspace, tag)
        self.jobs.append(envelope)

    async def ensure_agent(self, _worker: WorkerName) -> None:
        self._reach()

    async def publish_control(self, worker: WorkerName, envelope: Envelope) -> None:
        said = unpack(unseal(envelope.body, envelope.content_encoding, decompress))
        self.told += said
        self.told_to.setdefault(worker, []).extend(said)

    async def publish_dead(self, body: bytes, reason: str, about: Mapping[str, str]) -> None:
        self._reach()
        self.dead.append((body, reason))
        if DEAD in self._consumers:
            await self.give_back(body, dead_letter(body, reason, about).headers)

    async def give_back(
        self, body: bytes, headers: Mapping[str, str], content_encoding: str | None = None
    ) -> None:
        """What lies in the queue of dead letters, until the relay has taken it."""
        letter = Letter("", body, content_encoding, "", headers)
        await self._consumers[DEAD](letter)
        assert await letter.done

    async def consume(self, queue_name: str, _prefetch: int, arrived: Arrived) -> None:
        self._consumers[queue_name] = arrived

    async def up(
        self,
        queue_name: str,
        worker: WorkerName,
        *messages: Message,
        token: TokenId = TOKEN,
        device: SigningKey | None = None,
    ) -> bool:
        """An agent sends these. True once the relay has acknowledged them; False: they come again."""
        envelope = seal(pack(messages), compress, None if device is None else device.sign)
        return await self.up_raw(
            queue_name,
            worker,
            envelope.body,
            envelope.content_encoding,
            envelope.headers,
            login=broker_login(worker, token),
        )

    async def up_raw(
        self,
        queue_name: str,
        worker: WorkerName,
        body: bytes,
        content_encoding: str | None = None,
        headers: Mapping[str, str] | None = None,
        *,
        login: str | None = None,
    ) -> bool:
        named = broker_login(worker, TOKEN) if login is None else login
        letter = Letter(f"any.{quote(worker)}", body, content_encoding, named, headers or {})
        await self._consumers[queue_name](letter)
        return await letter.done

    async def answers(self) -> None:
        self._reach()

    async def waiting_for(self, worker: WorkerName) -> int:
        return self.unread.get(worker, 0)

    async def waiting(self, _tag: Tag) -> int:
        """None is left in any queue."""
        return 0

    async def log_waits(self) -> bool:
        return False

    def _reach(self) -> None:
        if self.is_down:
            raise BrokerDown("cut")


async def taken(running: Running, source: LocalSource, ledger: Ledger) -> Custody:
    """A bash job that the bridge has taken, and nobody has accepted."""
    await running.preview(tag="bash")
    pulled = await source.pull(frozenset({Tag("bash")}))
    assert pulled is not None
    about = {
        "job_id": pulled.job_id, "attempt": Attempt(1), "workspace": pulled.workspace, "tag": pulled.tag,
    }  # fmt: skip
    custody = Custody(**about, token=pulled.token, job_json=pulled.job_json)
    await ledger.take(custody, pack([Job(**about, language="bash", code="", args=b"{}")]))
    return custody


async def enrolled(
    ledger: Ledger, worker: WorkerName, *tags: str, languages: Sequence[str] | None = None
) -> None:
    """It may take jobs of these tags."""
    claims = Claims(worker=worker, worker_group="shop", tags=frozenset(map(Tag, tags)), expires_s=2**40)
    await ledger.enrol(claims, "0", 1, languages=languages)


@asynccontextmanager
async def collecting(
    running: Running, worker: WorkerName
) -> AsyncIterator[tuple[Carrier, JobId, "asyncio.Task[None]"]]:
    """What brings mail to a collector, a job that is out, and the collector's task; `worker` is enrolled."""
    source = LocalSource(running.cluster.jobs)
    ledger, carrier = Ledger(running.store, running.clock), Carrier()
    custody = await taken(running, source, ledger)
    await enrolled(ledger, worker, "bash")
    recorder = Recorder(source, ledger, running.clock)
    lost = Lost(recorder, ledger, running.clock, Policies())
    quarantine = Quarantine(ledger, recorder, running.cluster.tokens.blacklist.holds)
    proofs, signer = running.cluster.devices.require_signed, await Signer.load(ledger)
    collector = Collector(source, ledger, carrier, lost, recorder, quarantine, running.clock, proofs, signer)
    task = asyncio.ensure_future(collector.run())
    await asyncio.sleep(0)
    yield carrier, custody.job_id, task
    task.cancel()
    await asyncio.wait([task])
