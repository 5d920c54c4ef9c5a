"""The invariants I1 to I7 (DESIGN section 3), asserted on a history that is over."""

import json
import re
from collections import Counter
from typing import TYPE_CHECKING

from agent.jobs.pace import PARTS_MAX
from agent.wire.messages import Delivery
from agent.wire.routing import LOGS
from tests.simulation.cluster import SimJob
from tests.simulation.site import DECIDED_S

if TYPE_CHECKING:
    from tests.simulation.world import World

LINE = re.compile(r"(\S+) run (\d+) line (\d+);")


def check(world: "World") -> list[str]:
    """What does not hold, as sentences that begin with the invariant."""
    found = []
    for job in world.cluster.jobs.values():
        found += _recorded_once(world, job)
        found += _log_in_order(world, job)
    found += _started_at_most_once(world)
    found += _only_own_tags(world)
    found += _only_where_it_runs(world)
    found += _nothing_after_a_cancel(world)
    found += _in_time(world)
    found += _never_replaced(world)
    found += _nothing_left(world)
    found += _parts_once_more_per_cut(world)
    return found


def _recorded_once(world: "World", job: SimJob) -> list[str]:
    name = job.spec.job_id
    if not job.results:
        return [f"I1: {name} has no result; {_where(world, name)}"]
    found = []
    first = job.results[0]
    # A bridge that died before it noted the cluster's answer may offer another end in its next life.
    differing = {(one.attempt, one.document) for one in job.results if one.life == first.life}
    if len(differing) > 1:
        found.append(f"I1: the cluster was offered {len(differing)} different results of {name}")
    if first.success:
        runs = [start.document for start in world.journal.starts if start.job_id == name]
        if first.document not in runs:
            found.append(f"I1: the result of {name} was made by no run of it")
    elif first.canceled_by is None and b'"name"' not in first.document:
        found.append(f"I1: {name} failed without a reason: {first.document[:100]!r}")
    return found


def _parts_once_more_per_cut(world: "World") -> list[str]:
    """A life of a link that ends, or a crash, costs at most the parts that were on their way.

    A queue that lost what it had confirmed costs the whole document once more.
    """
    found = []
    for (site, job_id, *_), sent in world.journal.parts.items():
        parts = len({index for index, _ in sent})
        again = len(sent) - parts
        cuts = len({id(link) for _, link in sent}) - 1
        if again > cuts * PARTS_MAX + world.emptied.total() * parts:
            found.append(f"I6: {site} sent {again} parts of {job_id} once more for {cuts} cuts")
    return found


def _where(world: "World", name: str) -> str:
    rows = world.bridge.disk.rows(
        "SELECT attempt, state, custodian, outcome FROM ledger WHERE job_id = ?", name
    )
    held = [
        (site.name, row["attempt"], row["state"])
        for site in world.sites
        for row in site.disk.rows("SELECT attempt, state FROM held WHERE job_id = ?", name)
    ]
    return f"{world.cluster.jobs[name].state}, ledger {[tuple(row) for row in rows]}, held {held}"


def _started_at_most_once(world: "World") -> list[str]:
    starts = Counter(start.job_id for start in world.journal.starts)
    return [
        f"I2: {name} was started {count} times"
        for name, count in starts.items()
        if count > 1 and world.cluster.jobs[name].spec.delivery is Delivery.AT_MOST_ONCE
    ]


def _only_own_tags(world: "World") -> list[str]:
    tags = {site.name: site.tags for site in world.sites}
    return [
        f"I4: {start.site} ran {start.job_id} with the tag {start.tag}"
        for start in world.journal.starts
        if start.tag not in tags[start.site]
    ]


def _only_where_it_runs(world: "World") -> list[str]:
    """Of a site that runs the language in some of its lives, what it took in one may start in the next."""
    return [
        f"{start.site} ran {start.job_id}, whose language it never runs"
        for start in world.journal.starts
        if start.site == "c" and world.cluster.jobs[start.job_id].spec.language == "bun"
    ]


def _log_in_order(world: "World", job: SimJob) -> list[str]:
    """I5: a run's lines come once and in order; those of the run that counts come whole, or marked.

    Nobody knows of the end of a log that the broker confirmed and lost.
    """
    lines = [(int(run), int(line)) for _, run, line in LINE.findall(job.log)]
    found = []
    for run in {run for run, _ in lines}:
        of_run = [line for one, line in lines if one == run]
        if of_run != sorted(set(of_run)):
            found.append(f"I5: the log of {job.spec.job_id} repeats or reorders lines: {job.log!r}")
    whole = "dropped" not in job.log and not world.emptied[LOGS]
    if job.results and job.results[0].success and whole:
        run = json.loads(job.results[0].document)["run"]
        if [line for one, line in lines if one == run] != list(range(job.spec.lines)):
            found.append(f"I5: the log of {job.spec.job_id} lacks lines of run {run}: {job.log!r}")
    return found


def _nothing_after_a_cancel(world: "World") -> list[str]:
    return [
        f"I7: {start.job_id} started {start.at_s - cancelled_s:.1f} s after {start.site} had taken its cancel"
        for start in world.journal.starts
        if (cancelled_s := world.journal.cancelled.get((start.site, start.job_id, start.attempt))) is not None
        and start.at_s > cancelled_s
    ]


def _in_time(world: "World") -> list[str]:
    """`not_after`: nothing starts too late where that can be known, and nothing is ended early (section 3).

    The bridge's clock is what deadlines go by, so only what happened before it first jumped is judged.
    """
    jobs, judged_s = world.cluster.jobs, world.bridge_jumped_s
    found = [
        f"not_after: {start.job_id} started {late_s:.1f} s too late at {start.site}"
        for start in world.journal.starts
        if start.knew_time
        and start.at_s < judged_s
        and (late_s := start.at_s - jobs[start.job_id].deadline_s) > DECIDED_S
    ]
    for job in jobs.values():
        first = job.results[0] if job.results else None
        if first and b'"Expired"' in first.document and first.at_s < min(job.deadline_s, judged_s):
            found.append(f"not_after: {job.spec.job_id} was ended {job.deadline_s - first.at_s:.1f} s early")
    return found


def _never_replaced(world: "World") -> list[str]:
    """A job that says `replace: never`, itself or by its tag, is not run as two attempts."""
    attempts: dict[str, set[int]] = {}
    for start in world.journal.starts:
        attempts.setdefault(start.job_id, set()).add(start.attempt)
    found = []
    for name, started in attempts.items():
        spec = world.cluster.jobs[name].spec
        may = world.bridge.policies.may_replace(spec.tag, spec.delivery, spec.replace)
        if len(started) > 1 and not may:
            found.append(f"replace: {name} was started as the attempts {sorted(started)}")
    return found


def _nothing_left(world: "World") -> list[str]:
    found = []
    for site in world.sites:
        rows = site.disk.rows("SELECT job_id, attempt, state FROM held")
        found += [f"I1: {site.name} still holds {tuple(row)}" for row in rows]
        if logs := site.log_pieces():
            found.append(f"I5: {site.name} still has {logs} pieces of log text")
        if site.disk.blobs:
            found.append(f"I6: {site.name} still has the blobs of {sorted(site.disk.blobs)}")
    rows = world.bridge.disk.rows("SELECT job_id, attempt, state FROM ledger WHERE state <> 'closed'")
    found += [f"I1: the ledger still has {tuple(row)}" for row in rows]
    parts = world.bridge.disk.rows("SELECT count(*) FROM blob_part")[0][0]
    found += [f"I6: the bridge still has {parts} parts of documents"] if parts else []
    return found
