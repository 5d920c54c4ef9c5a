"""What goes wrong, when, and for how long: drawn from a seed, carried out on the simulated world."""

import base64
from collections.abc import Callable
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Final

from agent.compression import compress, decompress
from agent.wire.claims import Attempt, JobId
from agent.wire.envelope import pack, seal, unpack, unseal
from agent.wire.messages import Grant, Job, Receipt
from agent.wire.routing import control_queue, job_queue
from tests.simulation.broker import Mail, Queue, cut, restore

if TYPE_CHECKING:
    from tests.simulation.world import World

LENGTHS_S: Final = ((0.5, 5.0), (5.0, 60.0), (60.0, 900.0))
BAD_SIGNATURE: Final = base64.b64encode(bytes(64)).decode()
STEPS_MAX: Final = 400
JUMPS_S: Final = (-1.7e9, -86_400.0, -30.0, 30.0, 86_400.0, 3.0e8)


@dataclass(frozen=True, slots=True)
class Fault:
    kind: str
    at_s: float
    lasts_s: float
    choice: float  # 0 to 1: picks the site, the job, the step


def plan(draw: Random, count: int, until_s: float) -> list[Fault]:
    kinds = list(KINDS)
    faults = [
        Fault(
            draw.choice(kinds),
            draw.uniform(1.0, until_s),
            draw.uniform(*draw.choice(LENGTHS_S)),
            draw.random(),
        )
        for _ in range(count)
    ]
    return sorted(faults, key=lambda fault: fault.at_s)


def kill_site(world: "World", fault: Fault) -> None:
    site = world.site(fault.choice)
    world.down_for(site, fault.lasts_s)


def kill_site_at_step(world: "World", fault: Fault) -> None:
    site = world.site(fault.choice)
    world.down_for(site, 1.0, dies_at_step=1 + int(fault.lasts_s * 1000) % STEPS_MAX)


def kill_bridge(world: "World", fault: Fault) -> None:
    world.down_for(world.bridge, fault.lasts_s)


def kill_bridge_at_step(world: "World", fault: Fault) -> None:
    world.down_for(world.bridge, 1.0, dies_at_step=1 + int(fault.lasts_s * 1000) % STEPS_MAX)


def cut_site(world: "World", fault: Fault) -> None:
    party = world.site(fault.choice).party
    cut(world.broker, party, stalls=fault.choice < 0.5)
    world.later(fault.lasts_s, lambda: restore(party))


def cut_bridge(world: "World", fault: Fault) -> None:
    cut(world.broker, world.bridge.party, stalls=fault.choice < 0.5)
    world.later(fault.lasts_s, lambda: restore(world.bridge.party))


def broker_away(world: "World", fault: Fault) -> None:
    world.broker.go_down()
    world.later(fault.lasts_s, world.broker.come_up)


def broker_alarm(world: "World", fault: Fault) -> None:
    """It is low on memory: it takes nothing, and everything else goes on."""
    world.broker.block("low on memory")
    world.later(fault.lasts_s, world.broker.unblock)


def queue_deleted(world: "World", fault: Fault) -> None:
    """An operator deletes the queue of a tag, with the jobs that wait in it."""
    name = job_queue(world.site(fault.choice).tags[0])
    if name in world.broker.queues:
        world.broker.delete(name)


def queue_purged(world: "World", fault: Fault) -> None:
    """An operator empties a queue, with what was confirmed in it; what is in somebody's hands stays there."""
    _empty(world, sorted(world.broker.queues)[int(fault.choice * len(world.broker.queues))])


def broker_forgets(world: "World", fault: Fault) -> None:
    """The broker comes back on an empty disk: nothing that it confirmed is there any more."""
    broker_away(world, fault)
    for name in sorted(world.broker.queues):
        _empty(world, name)
        if name.startswith(
            ("orvanta.jobs.", "orvanta.agent.")
        ):  # the bridge declares the others before all else
            world.broker.delete(name)


def _empty(world: "World", name: str) -> None:
    world.broker.queues[name].ready.clear()
    world.emptied[name] += 1


def cluster_away(world: "World", fault: Fault) -> None:
    world.cluster.is_down = True
    world.later(fault.lasts_s, lambda: setattr(world.cluster, "is_down", False))


def disk_full(world: "World", fault: Fault) -> None:
    disk = world.site(fault.choice).disk
    disk.is_full = True
    world.later(fault.lasts_s, lambda: setattr(disk, "is_full", False))


def clock_jumps(world: "World", fault: Fault) -> None:
    clocks = [site.clock for site in world.sites] + [world.bridge.clock]
    clock = clocks[int(fault.choice * len(clocks))]
    if clock is world.bridge.clock:
        world.bridge_jumped_s = min(world.bridge_jumped_s, world.loop.time())
    clock.wrong_by_s = JUMPS_S[int(fault.lasts_s * 1000) % len(JUMPS_S)]


def cancel(world: "World", fault: Fault) -> None:
    if jobs := world.cluster.open_jobs():
        world.cluster.cancel(jobs[int(fault.choice * len(jobs))].spec.job_id)


def forge(world: "World", fault: Fault) -> None:
    """A job that the bridge has not signed appears in a queue (I4), and words that it has not said (I1)."""
    site = world.site(fault.choice)
    tag = site.tags[0]
    forged = Job(
        job_id=JobId(f"forged-{fault.at_s}"), attempt=Attempt(1), workspace="main", tag=tag,
        language="bash", code="x", args=b"{}",
    )  # fmt: skip
    about = [{"job_id": one.spec.job_id, "attempt": Attempt(1)} for one in world.cluster.open_jobs()]
    words = [Receipt(**one) for one in about] + [Grant(**one) for one in about]
    for name, what, messages in (
        (job_queue(tag), "job", [forged]),
        (control_queue(site.worker), "words", words),
    ):
        envelope = seal(pack(messages), compress, lambda _body: ("sim", b"\0" * 64))
        headers = dict(envelope.headers) | {"forged": what}
        if queue := world.broker.queues.get(name):
            queue.ready.append(Mail(name, envelope.body, headers, envelope.content_encoding))
            queue.pump()


def reboot_site(world: "World", fault: Fault) -> None:
    """The power goes; the clock of the machine may come up wrong."""
    site = world.site(fault.choice)
    world.down_for(site, fault.lasts_s)
    site.clock.reboot()
    site.clock.wrong_by_s = JUMPS_S[int(fault.lasts_s * 1000) % len(JUMPS_S)]


def damage(world: "World", fault: Fault) -> None:
    """The signature of a true job rots in its queue: it is ours, and cannot be proved."""
    if found := _waiting(world, fault):
        queue = found[0]
        mail = queue.ready.popleft()
        queue.ready.append(replace(mail, headers=dict(mail.headers) | {"sig": BAD_SIGNATURE, "forged": 1}))


def forge_true(world: "World", fault: Fault) -> None:
    """Beside a true job stands one that says it is the same, with other code (I4)."""
    if found := _waiting(world, fault):
        queue = found[0]
        mail = queue.ready[0]
        (job,) = unpack(unseal(mail.body, mail.content_encoding, decompress))
        envelope = seal(pack([replace(job, code="forged")]), compress, lambda _body: ("sim", b"\0" * 64))
        headers = dict(envelope.headers) | {"forged": 1}
        queue.ready.appendleft(Mail(mail.key, envelope.body, headers, envelope.content_encoding))


def _waiting(world: "World", fault: Fault) -> list[Queue]:
    """A job queue in which something waits, if there is one."""
    queues = [
        queue
        for name, queue in sorted(world.broker.queues.items())
        if name.startswith("orvanta.jobs.") and queue.ready
    ]
    return [queues[int(fault.choice * len(queues))]] if queues else []


def repeat(world: "World", fault: Fault) -> None:
    """A message stands in its queue twice, as after a publish whose confirm was lost."""
    _copy(world, fault, lambda queue: queue)


def misroute(world: "World", fault: Fault) -> None:
    """A true job appears in the queue of another tag (I4)."""
    other = world.broker.queues.get(job_queue(world.site(fault.choice).tags[-1]))
    if other is not None:
        _copy(world, fault, lambda _queue: other)


def _copy(world: "World", fault: Fault, target: Callable) -> None:
    queues = [
        queue
        for name, queue in sorted(world.broker.queues.items())
        if name.startswith("orvanta.jobs.") and (queue.ready or any(one.unacked for one in queue.consumers))
    ]
    if not queues:
        return
    queue = queues[int(fault.choice * len(queues))]
    unacked = [one.mail for consumer in queue.consumers for one in consumer.unacked.values()]
    mail = [*queue.ready, *unacked][0]
    other = target(queue)
    other.ready.append(replace(mail))
    other.pump()


KINDS: Final[dict[str, Callable[["World", Fault], None]]] = {
    one.__name__: one
    for one in (
        kill_site, kill_site_at_step, kill_bridge, kill_bridge_at_step, cut_site, cut_bridge, broker_away,
        broker_alarm, queue_deleted, cluster_away, disk_full, clock_jumps, cancel, forge, repeat, misroute,
        reboot_site, damage, forge_true, queue_purged, broker_forgets,
    )
}  # fmt: skip
