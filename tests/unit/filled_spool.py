"""A spool with something of everything in it, for the tests of what is sealed."""

import json
from pathlib import Path

from agent.clock import SystemClock
from agent.jobs.book import Book
from agent.jobs.model import Event
from agent.logs import Secret
from agent.spool.credentials import Credentials, Pinned
from agent.spool.sealing import Seal
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import BLOB_PART_BYTES, pack
from agent.wire.messages import Job, Result

SECRET = "planted-s3cret"
LARGE = b'"' + SECRET.encode() * (3 * BLOB_PART_BYTES // len(SECRET)) + b'"'
KEY = bytes(range(32))
GIVEN = Secret("jwt_agent_a.b.c")
NEXT_TOKEN = f"jwt_agent_d.{SECRET}.f"
URL = "http://bridge.test"


def key(name: str) -> tuple[JobId, Attempt]:
    return (JobId(name), Attempt(1))


async def hold(book: Book, name: str) -> None:
    job = Job(
        job_id=JobId(name), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash",
        code=f"echo {SECRET}", args=b'{"password": "planted-s3cret"}', token=f"token-{SECRET}",
    )  # fmt: skip
    await book.hold(job, pack([job]))


async def finish(book: Book, name: str, document: bytes) -> None:
    await book.apply(key(name), Event.STARTED)
    result = Result(
        job_id=JobId(name), attempt=Attempt(1), workspace="main", success=True, document=document,
        finished_at=1.0,
    )  # fmt: skip
    await book.finish(key(name), Event.EXITED, result)


async def fill(spool: Spool, *, name: str = "") -> None:
    """A job, a small and a large result, log text, a quarantined job, an enrolment."""
    book = Book(spool, SystemClock())
    for job, document in ((f"done{name}", b'"planted-s3cret"'), (f"large{name}", LARGE)):
        await hold(book, job)
        await finish(book, job, document)
    for job in (f"next{name}", f"aside{name}"):
        await hold(book, job)
    await spool.quarantine(key(f"aside{name}"), "odd")
    await spool.add_log(key(f"next{name}"), 0, f"says {SECRET}\n")
    await spool.set_meta("enrolment", json.dumps({"amqp_url": SECRET}))
    await spool.set_meta("worker", "ag-site-north-abcde")


async def is_as_filled(spool: Spool, *, name: str = "") -> bool:
    job, result = await spool.job(key(f"next{name}")), await spool.result(key(f"done{name}"))
    large = await spool.result(key(f"large{name}"))
    assert job
    assert result
    assert large
    parts = [await spool.part(large, index) for index in range(large.blob_parts)]
    text = "".join(chunk.text for chunk in await spool.pending_log(10) if chunk.key == key(f"next{name}"))
    kept = [one.result for one in await spool.results([], 10, 10**9)]
    enrolment = await spool.get_meta("enrolment")
    return (
        (job.token, text) == (f"token-{SECRET}", f"says {SECRET}\n")
        and result in kept
        and result.document == b'"planted-s3cret"'
        and b"".join(parts) == LARGE
        and await spool.is_whole(large)
        and enrolment == json.dumps({"amqp_url": SECRET})
    )


def found_in(folder: Path) -> list[str]:
    """The files in which the secret stands, or the device's key in the clear."""
    files = [file for file in folder.rglob("*") if file.is_file()]
    return sorted(
        file.name
        for file in files
        if SECRET.encode() in file.read_bytes() or (file.name == "device.key" and _is_hex(file.read_bytes()))
    )


def _is_hex(content: bytes) -> bool:
    return set(content.strip()) <= set(b"0123456789abcdef")


def credentials(folder: Path, seal: Seal) -> Credentials:
    """As the agent of the spool reads them at its start."""
    return Credentials(folder, GIVEN, seal, is_new=True)


def fill_credentials(folder: Path, seal: Seal) -> str:
    """The id of the device's key, beside which there are a successor of the token and a pinned key."""
    mine = credentials(folder, seal)
    mine.succeed(NEXT_TOKEN)
    mine.pin(URL, Pinned({"kid": SECRET}))
    return mine.device.kid


def credentials_are_as_filled(spool: Spool, device: str) -> bool:
    mine = credentials(spool.folder.path, spool.seal)
    known = (mine.device.kid, mine.token.reveal(), mine.pinned(URL))
    return known == (device, NEXT_TOKEN, Pinned({"kid": SECRET}))


def seal_key_file(folder: Path, key: bytes, name: str = "key") -> Path:
    """For `SPOOL_KEY_FILE`."""
    file = folder / name
    file.write_text(key.hex() + "\n")
    file.chmod(0o600)
    return file
