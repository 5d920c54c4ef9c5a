"""Which limit stands behind what a program says when the kernel refuses it something."""

import json
from collections.abc import Iterator
from typing import Any, Final

from agent.executor.endings import memory_of, mend, processes_of
from agent.executor.languages.language import Verdict
from agent.executor.limits import Limits

# What the C library, bash and Python say, in a locale of none.
FILES: Final = ("Too many open files", "EMFILE")
PROCESSES: Final = (
    "fork: Resource temporarily unavailable",
    "fork: retry: Resource temporarily unavailable",
    "[Errno 11] Resource temporarily unavailable",
    "can't start new thread",
)
MEMORY: Final = ("MemoryError", "Cannot allocate memory", "cannot allocate memory", "bad_alloc")
FILE: Final = ("File too large", "File size limit exceeded", "SIGXFSZ")


def explained(verdict: Verdict, tail: str, limits: Limits, *, out_of_memory: bool) -> Verdict:
    """A failure with the limit that it names, and how to raise it; any other as it is.

    `tail`: the end of the job's output. `out_of_memory`: the kernel killed for want of it while the job ran.
    """
    try:
        error: Any = json.loads(verdict.document)
    except ValueError:
        return verdict
    if verdict.success or not isinstance(error, dict) or not isinstance(error.get("message"), str):
        return verdict
    said = f"{error.get('name')}\n{error['message']}\n{tail}"
    found = list(_limits_behind(said, limits, out_of_memory=out_of_memory))
    if not found:
        return verdict
    error["message"] = "\n".join([error["message"], *found])
    return Verdict(False, json.dumps(error).encode())


def _limits_behind(said: str, limits: Limits, *, out_of_memory: bool) -> Iterator[str]:
    def says(words: tuple[str, ...]) -> bool:
        return any(word in said for word in words)

    if limits.memory_mb is not None and (out_of_memory or says(MEMORY)):
        yield f"This job met {memory_of(limits.memory_mb)}."
    elif out_of_memory:
        yield f"The machine ran out of memory while this job ran; use less, {mend('memory_mb')}."
    if limits.open_files is not None and says(FILES):
        yield f"A process here may hold {limits.open_files} files open; close some, {mend('open_files')}."
    if limits.processes is not None and says(PROCESSES):
        yield f"This job met {processes_of(limits.processes)}."
    if limits.file_mb is not None and says(FILE):
        yield f"A file that this job writes may have {limits.file_mb} MB; write less, {mend('file_mb')}."
