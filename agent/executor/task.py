"""What to run, and how it ended: values only, so that the executor knows neither spool nor link."""

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass

Sink = Callable[[str], None]  # log text as it comes, decoded; must not block


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    job_id: str
    language: str
    code: str
    args: bytes  # one JSON object, UTF-8
    env: Mapping[str, str]
    timeout_s: float | None
    path: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    success: bool
    result: bytes  # one JSON document: the result, or on failure the error object
    duration_ms: int
    mem_peak_kb: int | None = None
    exit_code: int | None = None
    canceled_by: str | None = None
    canceled_reason: str | None = None


class Stop:
    """A request, from outside, that a run should end. The first request counts."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self.by: str | None = None
        self.reason: str = ""

    def request(self, by: str, reason: str) -> None:
        if self.by is None:
            self.by, self.reason = by, reason
            self._event.set()

    async def requested(self) -> None:
        await self._event.wait()


class CannotRun(Exception):
    """The job cannot be started: bad arguments, unknown language, missing interpreter, full disk."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(message)
        self.name = name


def error_document(name: str, message: str, **more: object) -> bytes:
    return json.dumps({"message": message, "name": name, **more}).encode()
