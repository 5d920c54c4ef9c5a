"""Carries out the jobs that resolve dependencies, for a normal worker.

Such a job changes nothing until its end, and its end is one transaction: whoever is killed on the way has
done nothing, and another worker does it again.
"""

from functools import partial

from agent.clock import Clock
from bridge.dependencies.errors import NotResolved
from bridge.dependencies.finding import find_in
from bridge.dependencies.flow_locking import FlowLocking
from bridge.dependencies.gathering import Request, request_of
from bridge.dependencies.locks import NOTHING, RESOLVED, SQL, hash_of, remember
from bridge.dependencies.outcomes import SHOWN_MAX_CHARS, failed, say_of, succeeded
from bridge.dependencies.resolution import Resolution
from bridge.dependencies.resolving import Resolver
from bridge.dependencies.settling import LOCKED
from bridge.jobs.model import Pulled
from bridge.jobs.service import Jobs
from bridge.store.bulletin import Note, Tell
from bridge.store.store import Connection, Store


class Dependencies:
    def __init__(self, jobs: Jobs, store: Store, clock: Clock, resolver: Resolver) -> None:
        self._of_flows = FlowLocking(jobs, store, clock, resolver)
        self._jobs = jobs
        self._store = store
        self._clock = clock
        self._resolver = resolver

    async def run(self, job: Pulled) -> None:
        """Resolve, store the lock and end the job. Cancelled at any point, it may be begun anew by anybody.

        Raises `WriteFailed` and `ReadFailed`: then the job is still to be done.
        """
        if job.kind == "flowdependencies":
            await self._of_flows.run(job)
            return
        say = partial(say_of, self._jobs, job)
        script_hash = await self._script_of(job.job_id)
        try:
            request = await self._store.read(lambda connection: _request(connection, job))
            await say(_heading(job, request))
            found = Resolution(NOTHING)
            if request is not None:
                lock = request.settled()
                found = await self._resolver.resolve(request, say) if lock is None else Resolution(lock)
        except NotResolved as error:
            await say(f"{error}\n")
            await self._fail(job, script_hash, str(error)[:SHOWN_MAX_CHARS])
        else:
            await say(f"{found.lock}\n")
            await self._succeed(job, script_hash, found)

    async def _script_of(self, job_id: str) -> str | None:
        row = await self._store.read(
            lambda connection: connection.execute(SQL["job"], {"id": job_id}).fetchone()
        )
        script_hash: str | None = row["script_hash"]
        return script_hash

    async def _succeed(self, job: Pulled, script_hash: str | None, found: Resolution) -> None:
        now_s = self._clock.wall_s()

        def also(connection: Connection, tell: Tell) -> None:
            remember(connection, found.lock, job.language, found.hashes, now_s)
            if script_hash is not None:
                connection.execute(SQL["resolved"], {**_key(job, script_hash), "lock": found.lock})
            tell(Note(LOCKED, hash_of(found.lock)))

        await self._jobs.complete(job.workspace, job.job_id, succeeded(lock=found.lock), also=also)

    async def _fail(self, job: Pulled, script_hash: str | None, why: str) -> None:
        def also(connection: Connection, _: Tell) -> None:
            if script_hash is not None:
                connection.execute(SQL["not_resolved"], {**_key(job, script_hash), "error": why})

        await self._jobs.complete(job.workspace, job.job_id, failed(why), also=also)


def _key(job: Pulled, script_hash: str) -> dict[str, str]:
    return {"workspace_id": job.workspace, "hash": script_hash, "job_id": job.job_id}


def _request(connection: Connection, job: Pulled) -> Request | None:
    """Raises `NotResolved`."""
    if job.language not in RESOLVED:
        return None
    return request_of(job.language, job.code, job.path, find_in(connection, job.workspace, job.language))


def _heading(job: Pulled, request: Request | None) -> str:
    return f"{job.path or 'the code'} needs {'nothing' if request is None else request}\n"
