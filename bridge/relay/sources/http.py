"""Any Orvanta over the HTTP agent API, exactly as an agent worker sees it (agent-api.md 1 to 3)."""

import asyncio
import json
import math
import re
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Final, Literal

import structlog

from agent.clock import Clock
from agent.logs import Secret
from agent.wire.agent_api import COMPLETED_FIELDS, code_place, unrun_end, worker_ping
from agent.wire.arguments import resolved
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import job_in, pack
from agent.wire.errors import Malformed, TooLarge, Unresolved
from agent.wire.hidden import listed
from agent.wire.messages import Result
from bridge.errors import AnswerLost, ClusterDown, Declined, NotTaken, TokenRefused, TooDeep
from bridge.relay.ledger import Custody
from bridge.relay.sources.chunks import MIN_VERSION, Chunks, Progress
from bridge.relay.sources.lane import Lane, in_workspace, word
from bridge.relay.sources.retry import soon_again
from bridge.relay.sources.source import PingReply, Pulled, job_completed, pulled_from
from bridge.upstream import Upstream

log = structlog.get_logger()

NO_FIGURES: Final = b'{"mem_peak": null, "current_mem": null}'
VERSION: Final = "v1.600.0"  # of the agent API that we speak
REFUSED_S: Final = 30.0  # a token that was refused is tried no sooner
ENVIRONMENT_S: Final = 900.0  # as the original's agents remember it
REASON_CHARS: Final = 200
NOT_FOUND: Final = 404
TOO_LARGE: Final = 413

# What reading raises that which no job can be read from.
MALFORMED: Final = (
    KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError, Malformed,
)  # fmt: skip


class HTTPSource:
    """One token is one lane: the cluster chooses among all its tags. No two lanes have a tag in common."""

    ping_every_s = 10.0
    pings_at_once = 1  # the API has no call for more
    keeps_languages_back = False
    idle_s = 1.0  # the API has no long poll (agent-api.md 2.2)

    def __init__(
        self, upstream: Upstream, tokens: Sequence[Secret], suffix: str, progress: Progress, clock: Clock
    ) -> None:
        self._lanes = [Lane(upstream, token, suffix) for token in tokens]
        self._chunks = Chunks(progress)
        self._clock = clock
        self._sent = 0  # results
        self._version = VERSION
        self._environments: dict[str, tuple[float, dict[str, str]]] = {}

    def close(self) -> None:
        for lane in self._lanes:
            lane.close()

    async def announce(self, instance: str, ping_type: Literal["Initial", "MainLoop"]) -> None:
        """The worker's ping (agent-api.md 2.3), which keeps the bridge on the Workers page, once a lane.

        One token that is refused keeps no other from it. Raises `ClusterDown`.
        """
        failed: ClusterDown | None = None
        for lane in self._lanes:
            try:
                if ping_type == "Initial":
                    self._version = await _version(lane)
                known = {"version": self._version, "jobs_executed": self._sent}
                ping = worker_ping(ping_type, instance, sorted(lane.tags), **known)
                await soon_again()(lane.post, "/api/agent_workers/update_ping", json.dumps(ping).encode())
            except ClusterDown as error:
                failed = error
        if failed is not None:
            raise failed

    def lanes(self, served: frozenset[Tag]) -> Sequence[frozenset[Tag]]:
        """Without those whose token was just refused, so that they hold up no other."""
        now_s = self._clock.monotonic_s()
        return [lane.tags for lane in self._lanes if lane.tags & served and lane.rests_until_s <= now_s]

    async def pull(self, lane: frozenset[Tag], languages: frozenset[str] | None = None) -> Pulled | None:
        """Of any language: what is handed out is the cluster's to say."""
        del languages
        of = next(one for one in self._lanes if one.tags == lane)
        pull = of.next_pull(self._clock.monotonic_s())
        try:
            reply = (await of.answer_to(pull)).value
            pulled = None if reply is None else await self._read(of, reply)
        except _NoJobError as error:
            raise AnswerLost(str(error)) from error
        except TooDeep as error:
            log.error("job.malformed", job_id=None, reason=str(error))
            raise
        except (ClusterDown, asyncio.CancelledError) as error:  # cancelled: the broker went, and comes back
            if isinstance(error, TokenRefused):
                of.rests_until_s = self._clock.monotonic_s() + REFUSED_S
            of.keep(pull)
            raise
        return pulled

    async def put_back(self, out: frozenset[JobId]) -> None:
        """The agent API has no way to give a job back (agent-api.md 2.1)."""

    async def wait(self, timeout_s: float) -> None:
        await asyncio.sleep(timeout_s)

    async def ping_all(self, custodies: Sequence[Custody]) -> Sequence[PingReply]:
        return [await self.ping(custody) for custody in custodies]

    async def ping(self, custody: Custody) -> PingReply:
        path = f"/api/agent_workers/ping_job_status/{word(custody.job_id)}"
        try:
            async with asyncio.timeout(self.ping_every_s):
                told = (await self._lane_of(custody).post(path, NO_FIGURES)).value
        except TimeoutError as error:
            raise AnswerLost(f"a ping had no answer within {self.ping_every_s:.0f} s") from error
        if not isinstance(told, dict):
            raise AnswerLost(f"the cluster answered {told!r:.60} to the ping of a job")
        by, reason = told.get("canceled_by"), told.get("canceled_reason")
        return PingReply(
            None if by is None else _readable(by),
            None if reason is None else _readable(reason),
            told.get("already_completed") is True,
        )

    async def send_result(self, custody: Custody, result: Result, document: bytes) -> None:
        try:
            await self._send(custody, result, document)
        except Declined as error:
            if error.status == TOO_LARGE:
                await self._send(custody, replace(result, success=False), _too_large(len(document)))
            elif error.status == NOT_FOUND and (await self.ping(custody)).already_completed:
                log.warning("result.of_no_job", job_id=custody.job_id, reason=str(error))
            else:  # also the 404 of a gateway that does not find the cluster
                raise
        self._sent += 1

    async def set_progress(self, custody: Custody, percent: int) -> None:
        with suppress(Declined, TokenRefused):  # it has ended there, which tells more
            await self._lane_of(custody).set_progress(custody, percent)

    async def push_log(self, custody: Custody, writer: str, start: int, text: str, *, missing: int) -> None:
        try:
            await self._chunks.push(self._lane_of(custody), custody, writer, start, text, missing)
        except Declined as error:  # the same again would be declined again, and hold up all other text
            await self.ping(custody)  # unless this fails too: then a gateway does not find the cluster
            log.warning("log.declined", job_id=custody.job_id, chars=len(text), reason=str(error))

    def _lane_of(self, custody: Custody) -> Lane:
        """The one that pulled it; a job of a token that is gone goes by any."""
        return next((lane for lane in self._lanes if custody.tag in lane.tags), self._lanes[0])

    async def _send(self, custody: Custody, result: Result, document: bytes) -> None:
        """May come twice: the cluster keeps the first (agent-api.md 3.4)."""
        path = in_workspace(custody.workspace, "send_result", custody.job_id)
        body = job_completed(custody, result, document)
        await soon_again()(self._lane_of(custody).post, path, body)

    async def _read(self, lane: Lane, reply: Any) -> Pulled | None:
        """None when it was no job for a site, and has been ended."""
        try:
            pulled = pulled_from(reply, None)
            if (end := unrun_end(reply)) is not None:
                await self.send_result(pulled.as_custody(Attempt(1)), end, end.document)
                return None
            if reply.get("raw_code") is None:
                pulled = await self._with_code(lane, pulled, reply["job"])
            _check(pulled, lane, self._clock.wall_s())
            pulled = await self._with_arguments(lane, pulled, reply)
        except Unresolved as error:
            log.warning("job.unresolved", job_id=pulled.job_id, reason=str(error))
            await self._end(pulled.as_custody(Attempt(1)), "NotFound", str(error))
            return None
        except Declined as error:
            log.error("job.without_code", job_id=pulled.job_id, reason=str(error))
            await self._end(pulled.as_custody(Attempt(1)), "NotFound", f"its code cannot be had: {error}")
            return None
        except MALFORMED as error:
            await self._refuse(lane, reply, f"{type(error).__name__}: {error}"[:REASON_CHARS])
            return None
        return replace(pulled, env={**await self._environment(lane, pulled.workspace), **pulled.env})

    async def _with_code(self, lane: Lane, pulled: Pulled, job: Any) -> Pulled:
        path, code, lock = code_place(job)
        found = (await lane.get(path)).value
        return replace(pulled, code=found[code], lock=pulled.lock or found.get(lock))

    async def _with_arguments(self, lane: Lane, pulled: Pulled, reply: Any) -> Pulled:
        """A cluster of ours, which alone counts its hand-outs, has put in what they name."""
        if "attempt" in reply["job"]:
            return pulled

        async def look_up(path: str) -> Any:
            return await lane.named_value(path, pulled.token)

        found = await resolved(reply, look_up)
        args = json.dumps(found.values).encode()
        return replace(pulled, args=args, hidden=listed(list(found.secrets)))

    async def _refuse(self, lane: Lane, reply: Any, why: str) -> None:
        """Asked again it would be as malformed, so it is not kept."""
        try:
            custody = _named_in(reply, lane)
        except MALFORMED:
            log.error("job.malformed", job_id=None, reason=why)
            raise _NoJobError(f"pull_job answered something that is no job: {why}") from None
        log.error("job.malformed", job_id=custody.job_id, reason=why)
        try:
            await self._end(custody, "Malformed", f"the job cannot be read: {why}")
        except Declined as error:  # the cluster's sweep ends it
            log.warning("job.malformed_not_ended", job_id=custody.job_id, reason=str(error))

    async def _end(self, custody: Custody, name: str, why: str) -> None:
        """Nobody can run it, now or after the cluster's sweep."""
        result = Result(
            job_id=custody.job_id, attempt=custody.attempt, workspace=custody.workspace, success=False
        )
        await self.send_result(custody, result, _error(name, why))

    async def _environment(self, lane: Lane, workspace: str) -> dict[str, str]:
        """The workspace's own, which every job of it gets (agent-api.md 2.1, row 16).

        As with the original's agents, an error stops no job: it gets what is known, or nothing.
        """
        now_s = self._clock.monotonic_s()
        got_s, known = self._environments.get(workspace, (-math.inf, {}))
        if now_s - got_s < ENVIRONMENT_S:
            return known
        try:
            told = (await lane.get(in_workspace(workspace, "custom_envs"))).value
            known = {_text(name): _text(text) for name, text in told}
        except NotTaken:
            raise
        except (ClusterDown, TypeError, ValueError) as error:
            log.warning("environment.unknown", workspace=workspace, reason=str(error))
        self._environments[workspace] = (now_s, known)
        return known


class _NoJobError(Exception):
    """Asked again, it would be no job again: it is not kept."""


def _check(pulled: Pulled, lane: Lane, now: float) -> None:
    """Raises one of `MALFORMED` when an agent could not read it. Its size is for the dispatcher to say."""
    if pulled.tag not in lane.tags:
        raise ValueError(f"its tag {pulled.tag!r:.60} is not of the token that pulled it")
    with suppress(TooLarge):
        job_in(pack([pulled.as_job(Attempt(1), now)]))


def _named_in(reply: Any, lane: Lane) -> Custody:
    """What is needed to end a malformed job. Raises one of `MALFORMED` when it does not say which it is."""
    job = reply["job"]
    return Custody(
        job_id=JobId(_text(job["id"])),
        attempt=Attempt(1),
        workspace=_text(job["workspace_id"]),
        tag=min(lane.tags),  # it goes back by the token that it came with
        token=_text(reply.get("token") or ""),
        job_json=json.dumps({name: job.get(name) for name in COMPLETED_FIELDS}),
    )


def _text(told: object) -> str:
    if not isinstance(told, str):
        raise TypeError(f"{told!r:.60} is no text")
    told.encode()
    return told


def _readable(told: object) -> str:
    """As text that travels, whatever it is."""
    return str(told).encode(errors="replace").decode()


def _error(name: str, message: str) -> bytes:
    return json.dumps({"name": name, "message": message}).encode()


def _too_large(size: int) -> bytes:
    return _error(
        "ResultTooLarge",
        f"the cluster answered 413 to a result of {size} bytes; raise the body limit of the cluster "
        "or of the proxy before it, or return less. The site keeps the result for a while.",
    )


async def _version(lane: Lane) -> str:
    """The lowest in use, so that no feature is held back because of us (agent-api.md 12)."""
    try:
        told = (await lane.get(MIN_VERSION)).value
    except Declined:  # it is older than the endpoint
        return VERSION
    return f"v{told}" if isinstance(told, str) and re.fullmatch(r"\d+\.\d+\.\d+", told) else VERSION
