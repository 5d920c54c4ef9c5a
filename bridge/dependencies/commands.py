"""Runs a resolver as a child process: for a limited time, and never longer than whoever asked for it."""

import asyncio
import os
import signal
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from bridge.dependencies.errors import NotResolved

TIME_S: Final = 300.0
OUTPUT_MAX_BYTES: Final = 16 * 1024 * 1024  # (I6)
SAID_MAX_CHARS: Final = 200_000  # into the job's log (I6)
CHUNK_BYTES: Final = 64 * 1024

Say = Callable[[str], Awaitable[None]]  # into the job's log


@dataclass(frozen=True, slots=True)
class Finished:
    code: int
    output: bytes
    said: str


async def run(
    command: Sequence[str], folder: Path, environment: Mapping[str, str], say: Say, time_s: float = TIME_S
) -> Finished:
    """Raises `NotResolved` when it cannot be started, or takes too long.

    However this ends, it is killed with all that it started.
    """
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            cwd=folder,
            env=dict(environment),
            stdin=DEVNULL,
            stdout=PIPE,
            stderr=PIPE,
            start_new_session=True,
        )
    except OSError as error:
        raise NotResolved(f"{command[0]} cannot be started on this worker: {error}") from error
    try:
        async with asyncio.timeout(time_s), asyncio.TaskGroup() as group:
            output = group.create_task(_output(process), name="output")
            said = group.create_task(_said(process, say), name="said")
            code = await process.wait()
        return Finished(code, output.result(), said.result())
    except TimeoutError:
        raise NotResolved(
            f"{Path(command[0]).name} took longer than {time_s:.0f} s and was stopped"
        ) from None
    except ExceptionGroup as group:
        raise group.exceptions[0] from group  # the job's log cannot be written now
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        await process.wait()


async def _output(process: Process) -> bytes:
    assert process.stdout is not None  # noqa: S101 asked for above
    whole = bytearray()
    while piece := await process.stdout.read(CHUNK_BYTES):
        whole += piece[: OUTPUT_MAX_BYTES - len(whole)]
    return bytes(whole)


async def _said(process: Process, say: Say) -> str:
    """Line by line, as it comes."""
    assert process.stderr is not None  # noqa: S101 asked for above
    whole, rest = "", b""
    while piece := await process.stderr.read(CHUNK_BYTES):
        lines, _, rest = (rest + piece).rpartition(b"\n")
        whole = await _more(whole, lines + b"\n" if lines else b"", say)
    return await _more(whole, rest, say)


async def _more(whole: str, piece: bytes, say: Say) -> str:
    text = piece.decode(errors="replace")[: SAID_MAX_CHARS - len(whole)]
    if text:
        await say(text)
    return whole + text
