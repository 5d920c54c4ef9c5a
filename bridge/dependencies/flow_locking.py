"""Carries out the job that resolves the inline steps of a flow's version, as `service.py` does a script's."""

from collections.abc import Mapping
from functools import partial

import msgspec

from agent.clock import Clock
from bridge.dependencies import flow_steps
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.finding import find_in
from bridge.dependencies.flows import Arguments
from bridge.dependencies.locks import NOTHING, SQL, hash_of, remember
from bridge.dependencies.outcomes import SHOWN_MAX_CHARS, failed, say_of, succeeded
from bridge.dependencies.resolution import Resolution
from bridge.dependencies.resolving import Resolver
from bridge.dependencies.settling import LOCKED
from bridge.errors import NotFound
from bridge.flows import deployed
from bridge.jobs.model import Pulled
from bridge.jobs.service import Jobs
from bridge.store.bulletin import Note, Tell
from bridge.store.store import Connection, Store


class FlowLocking:
    def __init__(self, jobs: Jobs, store: Store, clock: Clock, resolver: Resolver) -> None:
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._resolver = resolver

    async def run(self, job: Pulled) -> None:
        """Each step by itself: one that cannot be resolved keeps no other from its lock."""
        wanted = msgspec.json.decode(job.args, type=Arguments).flow_version
        value = await self._store.read(lambda connection: _value(connection, job.workspace, wanted))
        found: dict[str, Resolution] = {}
        wrong: dict[str, str] = {}
        for step in [] if value is None else flow_steps.missing(value):
            try:
                found[step["id"]] = await self._resolved(job, step)
            except NotResolved as error:
                wrong[step["id"]] = str(error)
                await say_of(self._jobs, job, f"step {step['id']}: {error}\n")
        await self._end(job, wanted, found, wrong)

    async def _resolved(self, job: Pulled, step: flow_steps.Step) -> Resolution:
        """Raises `NotResolved`."""
        request = await self._store.read(
            lambda connection: flow_steps.request_of_step(
                step, job.path or "", partial(find_in, connection, job.workspace)
            )
        )
        await say_of(
            self._jobs, job, f"step {step['id']} needs {'nothing' if request is None else request}\n"
        )
        lock = NOTHING if request is None else request.settled()
        if request is None or lock is not None:
            return Resolution(lock or NOTHING)
        return await self._resolver.resolve(request, partial(say_of, self._jobs, job))

    async def _end(
        self, job: Pulled, version: int, found: Mapping[str, Resolution], wrong: Mapping[str, str]
    ) -> None:
        now_s, locks = self._clock.wall_s(), {name: one.lock for name, one in found.items()}
        why = "\n".join(f"step {name}: {text}" for name, text in wrong.items())[:SHOWN_MAX_CHARS]

        def also(connection: Connection, tell: Tell) -> None:
            for one in found.values():
                remember(connection, one.lock, "", one.hashes, now_s)
                tell(Note(LOCKED, hash_of(one.lock)))
            value = _value(connection, job.workspace, version)
            if value is not None:
                deployed.set_value(connection, version, flow_steps.with_locks(value, locks))
            ended = {"version": version, "job_id": job.job_id, "error": why or None}
            connection.execute(SQL["end_flow_lock"], ended)

        completion = failed(why) if wrong else succeeded(locks=locks)
        await self._jobs.complete(job.workspace, job.job_id, completion, also=also)


def _value(connection: Connection, workspace: str, version: int) -> bytes | None:
    """None: the flow was deleted meanwhile, and needs nothing more."""
    try:
        return str(deployed.version(connection, workspace, version)["value"]).encode()
    except NotFound:
        return None
