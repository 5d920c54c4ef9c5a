"""True messages as they travelled in the simulation, and how one of them becomes wrong."""

import base64
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final
from urllib.parse import unquote

from agent.compression import compress, decompress
from agent.wire import proofs
from agent.wire.claims import WorkerName
from agent.wire.envelope import Sign, seal, unseal
from agent.wire.routing import CONTROL, DEAD, control_queue
from tests.fuzz.mutation import BOMBS, crossed, damaged, repacked
from tests.simulation.broker import Mail
from tests.simulation.world import World

JOBS: Final = 40
SHOWN: Final = 60  # bytes of a message
FAULTS: Final = 40  # so that there are revokes, checks and cancels too
PROVED: Final = 0.7  # of what goes down with another structure: truly signed
ENCODINGS: Final = ("zstd", "gzip", "", None, "zstd\0", "x" * 1000)
KIDS: Final = ("sim", "", "k" * 1000, 7, b"sim", None, ["sim"])
SIGNATURES: Final = ("", "=", "é", base64.b64encode(bytes(64)).decode(), 7, b"sig", None, "A" * 100_000)


@dataclass(frozen=True, slots=True)
class Sent:
    """To which exchange, and what. `proved`: it carries a true signature over what it says."""

    exchange: str
    mail: Mail
    proved: bool = False


class Tap:
    """Hears all that a simulated broker is given."""

    def __init__(self, world: World) -> None:
        self.heard: list[Sent] = []
        self.dead: list[Mail] = []  # letters
        self.give = world.broker.route  # unheard
        world.broker.route = self._hear

    def _hear(self, exchange: str, mail: Mail) -> bool:
        if exchange == DEAD:
            self.dead.append(mail)
            return True
        self.heard.append(Sent(exchange, mail))
        return self.give(exchange, mail)


def corpus(seed: int) -> list[Sent]:
    """One history's messages."""
    world = World(seed, jobs=JOBS, faults=FAULTS)
    tap = Tap(world)
    world.run()
    return tap.heard


def mutated(draw: Random, true: Sequence[Sent], sign: Sign) -> Sent:
    """One of these with its bytes, its structure, its encoding or its headers changed."""
    one = draw.choice(true)
    mail = one.mail
    how = draw.random()
    if how < 0.02:
        return _sent(one, draw.choice(BOMBS), "zstd", mail.headers)
    if how < 0.2:
        return _sent(one, damaged(draw, mail.body), mail.content_encoding, mail.headers)
    if how < 0.25:
        return _sent(one, mail.body, draw.choice(ENCODINGS), mail.headers)
    if how < 0.35:
        headers = dict(mail.headers) | {"kid": draw.choice(KIDS), "sig": draw.choice(SIGNATURES)}
        return _sent(one, mail.body, mail.content_encoding, headers)
    if how < 0.65:
        body = crossed(draw, _plain(mail), _plain(draw.choice(true).mail))
    else:
        body = repacked(draw, _plain(mail))
    proved = "sig" in mail.headers and draw.random() < PROVED
    envelope = seal(body, compress, _signing(one, sign) if proved else None)
    headers = envelope.headers if proved else mail.headers
    return _sent(one, envelope.body, envelope.content_encoding, headers, proved=proved)


def _signing(true: Sent, sign: Sign) -> Sign:
    """What is told to an agent is signed together with its name."""
    if true.exchange != CONTROL:
        return sign
    worker = WorkerName(unquote(true.mail.key.removeprefix(control_queue(WorkerName("")))))
    return lambda body: sign(proofs.told(worker, body))


def _plain(mail: Mail) -> bytes:
    return unseal(mail.body, mail.content_encoding, decompress)


def _sent(
    true: Sent, body: bytes, encoding: str | None, headers: Mapping[str, Any], *, proved: bool = False
) -> Sent:
    known = dict(headers) if proved else dict(headers) | {"forged": 1}
    return Sent(true.exchange, Mail(true.mail.key, body, known, encoding, true.mail.user_id), proved)


def told(mails: Iterable[Mail]) -> str:
    """For people."""
    return ", ".join(f"{mail.key}: {len(mail.body)} bytes, {mail.body[:SHOWN].hex()}" for mail in mails)
