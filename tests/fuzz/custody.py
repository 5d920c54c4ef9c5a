"""The real agent's intake and control, and the real bridge's collector, on what the simulated broker brings.

Each batch of wrong messages is made of what has just travelled, so that they name jobs that are there.
"""

from collections import deque
from random import Random
from typing import Final

from agent.compression import decompress
from agent.wire.claims import JobId, Tag
from agent.wire.envelope import unpack, unseal
from agent.wire.errors import WireError
from agent.wire.messages import Delivery, Job, Message, Result
from bridge.relay.signer import Signer
from tests.fuzz.envelopes import Sent, Tap, mutated, told
from tests.fuzz.watching import Watching
from tests.simulation.broker import Mail
from tests.simulation.cluster import Spec
from tests.simulation.world import TAGS, World

LIVES: Final = 400  # messages for one world; the next one begins with empty disks
BATCH_MAX: Final = 8
HEARD_MAX: Final = 300  # of what travelled last, that may be made wrong
UP_S: Final = 60.0
SETTLES_S: Final = 300.0
ENDS_S: Final = 900.0
LOOK_S: Final = 0.5
HEADERS_MAX: Final = 100_000  # characters: RabbitMQ takes no header frame over 128 KiB


def fuzz(seed: int, watching: Watching) -> None:
    number = 0
    while number < watching.count:
        draw = Random(f"{seed} custody {number}")  # noqa: S311 a case from a seed, no secret
        life = Life(draw, watching)
        try:
            life.begin()
            until = min(number + LIVES, watching.count)
            while number < until:
                size = draw.randint(1, min(BATCH_MAX, until - number))
                life.offer(number, size)
                number += size
            life.end()
        finally:
            life.world._stop()


class Life:
    def __init__(self, draw: Random, watching: Watching) -> None:
        self.world = World(draw.randrange(2**32), jobs=0, faults=0)
        self._draw = draw
        self._watching = watching
        self._tap = Tap(self.world)
        self._jobs = 0
        self._signed: set[str] = set()  # jobs that a true signature vouches for, though nobody submitted them

    def begin(self) -> None:
        for party in (self.world.bridge, *self.world.sites):
            self.world._start(party, None)
        self.world.live(UP_S)
        for tag in TAGS:
            self._submit(tag)
        self.world.live(UP_S)

    def offer(self, number: int, size: int) -> None:
        """Some wrong messages, and a true job among them."""
        what = f"cases {number} to {number + size - 1}"
        self._submit(Tag(self._draw.choice(TAGS)))
        sent = [self._wrong() for _ in range(size)]
        with self._watching.step(what, cases=size):
            for one in sent:
                self._note(one)
                self._tap.give(one.exchange, one.mail)
            self._settle(what, sent)
        self._look(what, sent)
        del self._tap.heard[:-HEARD_MAX]

    def end(self) -> None:
        """Nothing hangs: after all that, new jobs of every tag come home."""
        fresh = [self._submit(tag) for tag in TAGS]
        for _ in range(int(ENDS_S / UP_S)):
            if all(self.world.cluster.jobs[job_id].results for job_id in fresh):
                return
            self.world.live(UP_S)
        self._watching.violation(f"hang: of {fresh} not all ended within {ENDS_S:.0f} s")

    def _submit(self, tag: Tag) -> JobId:
        self._jobs += 1
        spec = Spec(
            job_id=JobId(f"job-{self._jobs}"),
            tag=tag,
            delivery=self._draw.choice(list(Delivery)),
            takes_s=self._draw.choice((0.01, 1.0, 5.0)),
            result_chars=self._draw.choice((20, 20, 20, 300_000)),
            lines=2,
            not_after_s=self._draw.choice((None, 600.0)),
        )
        self.world.cluster.submit(spec)
        return spec.job_id

    def _wrong(self) -> Sent:
        signer: Signer | None = self.world.bridge._signer
        assert signer is not None
        return mutated(self._draw, self._tap.heard[-HEARD_MAX:], signer.sign)

    def _note(self, sent: Sent) -> None:
        messages = _messages_in(sent.mail)
        self._watching.outcomes["readable still"] += bool(messages)
        if sent.proved:
            self._signed |= {one.job_id for one in messages if isinstance(one, Job)}

    def _settle(self, what: str, sent: list[Sent]) -> None:
        """Until none of these lies in a queue, or in anybody's hands."""
        waited_s = 0.0
        while left := self._lying(sent):
            if waited_s > SETTLES_S:
                self._throw_away(what, left)
                return
            self.world.live(LOOK_S)
            waited_s += LOOK_S

    def _throw_away(self, what: str, left: list[Mail]) -> None:
        """A result whose parts never come may wait for them; nothing else may lie there for ever."""
        for mail in left:
            if _waits_for_parts(mail):
                self._watching.outcomes["waits for its parts"] += 1
            else:
                self._watching.violation(f"hang: {what}: nobody takes {told([mail])}")
        for queue in self.world.broker.queues.values():
            queue.ready = deque(mail for mail in queue.ready if mail not in left)
            for consumer in queue.consumers:
                for number, one in list(consumer.unacked.items()):
                    if one.mail in left:
                        del consumer.unacked[number]

    def _lying(self, sent: list[Sent]) -> list[Mail]:
        return [one.mail for one in sent if one.mail in self._mails()]

    def _mails(self) -> list[Mail]:
        """All that is in a queue or in somebody's hands."""
        queues = self.world.broker.queues.values()
        held = [
            one.mail for queue in queues for consumer in queue.consumers for one in consumer.unacked.values()
        ]
        return [*held, *(mail for queue in queues for mail in queue.ready)]

    def _look(self, what: str, sent: list[Sent]) -> None:
        world = self.world
        world._look()
        for said in world.journal.violations:
            if not (said.startswith("I4") and any(f"ran {job_id}," in said for job_id in self._signed)):
                self._watching.violation(f"crash: {what}: {said}; {told(one.mail for one in sent)}")
        world.journal.violations.clear()
        for letter in self._tap.dead:
            if (size := len(str(letter.headers))) > HEADERS_MAX:
                self._watching.violation(f"crash: {what}: a dead letter's headers have {size} characters")
        self._tap.dead.clear()


def _waits_for_parts(mail: Mail) -> bool:
    return any(isinstance(message, Result) and message.blob_sha256 for message in _messages_in(mail))


def _messages_in(mail: Mail) -> list[Message]:
    try:
        return unpack(unseal(mail.body, mail.content_encoding, decompress))
    except WireError:
        return []
