"""What trust costs per job: signing it and verifying it, and the same for its result and its receipt.

`./dev bench signing`: what the product calls, on jobs of three sizes, without broker or disk: CPU time.
Of what the bridge tells an agent a message has one signature, however many results it is the receipt of.
The last line is a job that is packed, compressed, signed, verified and read, over an unsigned one.
"""

import argparse
import hashlib
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from statistics import median
from typing import Final

from agent.compression import compress, decompress
from agent.jobs.told import Told
from agent.progress import tracked
from agent.trust import Keyring, SigningKey
from agent.wire import proofs
from agent.wire.claims import Attempt, JobId, Tag, WorkerName
from agent.wire.envelope import Envelope, job_in, open_job, pack, seal, unseal
from agent.wire.messages import Job, Receipt, Result
from bench.support.figures import ratio_line
from bridge.relay.signer import Signer

SIZES: Final = (200, 4_096, 131_072)  # bytes of code, or of a result's document
RUNS: Final = 7
TIMES: Final = 300  # a run
RECEIPTS: Final = (1, 10, 100)  # in one message; a backlog comes home many results at a time
WORKER: Final = WorkerName("ag-pos-till-a")

BRIDGE: Final = SigningKey.made()
DEVICE: Final = SigningKey.made()
KEYS: Final = Keyring({BRIDGE.kid: BRIDGE.public, DEVICE.kid: DEVICE.public})


def main(argv: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="./dev bench signing", description=__doc__.partition("\n")[0])
    parser.parse_args(argv)
    for size in tracked("sizes of jobs", SIZES):
        _measure(_job(size), pack([_result(size)]))
    for count in tracked("receipts in a message", RECEIPTS):
        _say_receipts(count)
    print(ratio_line(f"a job of {SIZES[0]} bytes, signed / unsigned", *_small()))
    return 0


def _measure(job: Job, result: bytes) -> None:
    _say("job", pack([job]), BRIDGE)
    way, bare = median(_costs_us(lambda: _way(job))), median(_costs_us(lambda: _bare(job)))
    print(f"  packed, compressed, signed, verified and read: {way:.0f} us; unsigned {bare:.0f} us")
    _say("result", result, DEVICE)
    print(
        f"  over HTTP, by its digest, on both sides: {median(_costs_us(lambda: _over_http(result))):.0f} us"
    )


def _say_receipts(count: int) -> None:
    """The two ends apart: a bridge hears many agents, an agent one bridge."""
    told = [Receipt(job_id=JobId(f"0193-{number}"), attempt=Attempt(1)) for number in range(count)]
    signer, keys = Signer({BRIDGE.kid: BRIDGE.raw}), Keyring({BRIDGE.kid: BRIDGE.public})
    pairs = {
        "the bridge": (lambda: signer.seal_for(WORKER, pack(told)), lambda: seal(pack(told), compress)),
        "the agent": (
            partial(_hear, Told(WORKER, keys, is_signed=True), signer.seal_for(WORKER, pack(told))),
            partial(_hear, Told(WORKER, keys, is_signed=False), seal(pack(told), compress)),
        ),
    }
    for who, (signed, bare) in pairs.items():
        costs = median(_costs_us(signed)), median(_costs_us(bare))
        print(
            f"receipts, {count} to a message: {who} {costs[0]:.0f} us, unsigned {costs[1]:.0f} us; "
            f"{(costs[0] - costs[1]) / count:.1f} us more per result"
        )


def _hear(told: Told, envelope: Envelope) -> None:
    told.read(Came(envelope.body, envelope.content_encoding, envelope.headers))


@dataclass
class Came:
    """As a link hands it over."""

    body: bytes
    content_encoding: str | None
    headers: Mapping[str, object]

    async def ack(self) -> None: ...


def _small() -> tuple[list[float], list[float]]:
    """In turn, so that a busy machine is not taken for a slow signature."""
    job = _job(SIZES[0])
    pairs = [(_cost_us(lambda: _way(job)), _cost_us(lambda: _bare(job))) for _ in range(RUNS)]
    return [one for one, _ in pairs], [other for _, other in pairs]


def _say(what: str, body: bytes, key: SigningKey) -> None:
    _, signature = key.sign(body)
    sign = median(_costs_us(lambda: key.sign(body)))
    verify = median(_costs_us(lambda: KEYS.verify(key.kid, signature, body)))
    print(f"{what} of {len(body):,} bytes: sign {sign:.0f} us, verify {verify:.0f} us")


def _way(job: Job) -> None:
    envelope = seal(pack([job]), compress, BRIDGE.sign)
    open_job(unseal(envelope.body, envelope.content_encoding, decompress), envelope.headers, KEYS.verify)


def _bare(job: Job) -> None:
    envelope = seal(pack([job]), compress)
    job_in(unseal(envelope.body, envelope.content_encoding, decompress))


def _over_http(body: bytes) -> None:
    text = proofs.result_signature(DEVICE.sign, "0193-a", hashlib.sha256(body).hexdigest())
    kid, signature = proofs.read_signature(text)
    assert KEYS.verify(kid, signature, proofs.result("0193-a", hashlib.sha256(body).hexdigest()))


def _job(size: int) -> Job:
    return Job(
        job_id=JobId("0193-a"), attempt=Attempt(1), workspace="main", tag=Tag("pos"), language="bash",
        code="x" * size, args=b"{}",
    )  # fmt: skip


def _result(size: int) -> Result:
    return Result(
        job_id=JobId("0193-a"), attempt=Attempt(1), workspace="main", success=True, document=b"1" * size
    )


def _costs_us(work: Callable[[], object]) -> list[float]:
    return [_cost_us(work) for _ in range(RUNS)]


def _cost_us(work: Callable[[], object]) -> float:
    """CPU microseconds of one."""
    began_s = time.process_time()
    for _ in range(TIMES):
        work()
    return (time.process_time() - began_s) / TIMES * 1e6


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
