"""The jobs in custody that are not over, in memory and indexed: no event looks at all of them."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from agent.jobs.model import UNSTARTED, Held, Key, State
from agent.jobs.order import Order
from agent.wire.claims import Tag


class Unfinished:
    """Mirrors the rows of the spool that are not over; the rows win."""

    def __init__(self) -> None:
        self._jobs: dict[Key, Held] = {}
        self._ready = Order()
        self._expiring = Order()
        self._started: dict[Key, None] = {}
        self._untold: dict[Key, None] = {}  # starts that the bridge has not been told of
        self._unstarted: Counter[Tag] = Counter()
        self._needs: dict[str, dict[Key, None]] = {}  # who needs which bundle, until it is over
        self._is_supplied: Callable[[str], bool] = lambda _bundle: True
        self._need_changed: Callable[[str], None] = lambda _bundle: None

    def wait_for_bundles(
        self, is_supplied: Callable[[str], bool], need_changed: Callable[[str], None]
    ) -> None:
        """From now on only those may start whose bundle is supplied.

        `need_changed` hears of a bundle that the first job needs, or the last one no more.
        """
        self._is_supplied, self._need_changed = is_supplied, need_changed

    def __len__(self) -> int:
        return len(self._jobs)

    def __contains__(self, key: Key) -> bool:
        return key in self._jobs

    def get(self, key: Key) -> Held | None:
        return self._jobs.get(key)

    def put(self, job: Held) -> None:
        """Take `job` as it is now, in place of what it was."""
        before = self._jobs.get(job.key)
        self._jobs[job.key] = job
        self._count(job.tag, (job.state in UNSTARTED) - (before is not None and before.state in UNSTARTED))
        if job.bundle:
            self._note_need(job)
        if job.state is State.READY and (not job.bundle or self._is_supplied(job.bundle)):
            self._ready.put(job.key, job.rank())
        else:
            self._ready.drop(job.key)
        if job.state in UNSTARTED and job.expires_s is not None:
            self._expiring.put(job.key, (job.expires_s,))
        else:
            self._expiring.drop(job.key)
        _keep(self._started, job.key, keep=job.state is State.STARTED)
        _keep(self._untold, job.key, keep=job.state is State.STARTED and not job.started_sent)

    def drop(self, key: Key) -> Held | None:
        job = self._jobs.pop(key, None)
        if job is not None:
            self._count(job.tag, -(job.state in UNSTARTED))
            self._ready.drop(key)
            self._expiring.drop(key)
            self._started.pop(key, None)
            self._untold.pop(key, None)
            if job.bundle:
                self._drop_need(job)
        return job

    def bundles(self) -> Mapping[str, int]:
        """How many jobs need each bundle; the one needed longest first."""
        return {bundle: len(keys) for bundle, keys in self._needs.items()}

    def supplied(self, bundle: str) -> None:
        """Who waited for it may start, or may start to say why it cannot."""
        for key in list(self._needs.get(bundle, ())):
            self.put(self._jobs[key])

    def ready(self, most: int) -> Sequence[Held]:
        """The best of those that may start, in order."""
        return [self._jobs[key] for key in self._ready.first(most)]

    def expiring(self, most: int, up_to_s: float | None = None) -> Sequence[Held]:
        """Those not started that expire soonest, in order; none later than `up_to_s` (monotonic)."""
        bound = None if up_to_s is None else (up_to_s,)
        return [self._jobs[key] for key in self._expiring.first(most, bound)]

    def all_unstarted(self) -> Sequence[Held]:
        return [job for job in self._jobs.values() if job.state in UNSTARTED]

    def started(self) -> Sequence[Held]:
        return [self._jobs[key] for key in self._started]

    def started_count(self) -> int:
        return len(self._started)

    def untold(self, most: int) -> Sequence[Held]:
        """Started jobs of whose start the bridge has not been told."""
        return [self._jobs[key] for key, _ in zip(self._untold, range(most), strict=False)]

    def waiting(self) -> Sequence[Key]:
        """Jobs that the bridge has not granted."""
        return [job.key for job in self._jobs.values() if job.state is State.WAITING]

    def with_deadline(self) -> Sequence[Held]:
        return [job for job in self._jobs.values() if job.deadline is not None]

    def unstarted(self) -> Mapping[Tag, int]:
        """How many wait, by tag: what custody is bounded by (I6)."""
        return self._unstarted

    def _note_need(self, job: Held) -> None:
        is_new = job.bundle not in self._needs
        self._needs.setdefault(job.bundle, {})[job.key] = None
        if is_new:
            self._need_changed(job.bundle)

    def _drop_need(self, job: Held) -> None:
        keys = self._needs[job.bundle]
        del keys[job.key]
        if not keys:
            del self._needs[job.bundle]
            self._need_changed(job.bundle)

    def _count(self, tag: Tag, change: int) -> None:
        self._unstarted[tag] += change
        if not self._unstarted[tag]:
            del self._unstarted[tag]


def _keep(keys: dict[Key, None], key: Key, *, keep: bool) -> None:
    if keep:
        keys[key] = None
    else:
        keys.pop(key, None)
