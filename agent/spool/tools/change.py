"""`agent spool requeue` and `purge`: what a person changes in a spool whose agent is stopped."""

import shutil
import sqlite3
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from agent.errors import ToolRefused
from agent.spool.contents import Content, checked
from agent.spool.lifetime import read as read_lifetime
from agent.spool.sealing import Seal
from agent.spool.spool import LIVED
from agent.spool.tools.listing import Say
from agent.spool.tools.opened import SQL, Opened, to_change
from agent.wire.messages import Delivery, Job

DAY_S: Final = 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class Purge:
    """What to remove."""

    quarantine: bool
    set_aside: bool
    seen: bool
    older_than_days: int | None
    jobs: Sequence[str]
    force: bool


def requeue(path: Path, say: Say, seal: Seal, *, jobs: Sequence[str], everything: bool) -> int:
    """Results are sent again, quarantined jobs tried again, when the agent starts."""
    if bool(jobs) == everything:
        raise ToolRefused("name the jobs to requeue, or say --all; `spool ls` shows what is there.")
    with to_change(path, seal) as spool:
        for job_id in jobs or (None,):
            sent = _send_again(spool, job_id)
            tried = _try_again(spool, say, job_id)
            if job_id is not None and not sent and not tried:
                raise _nothing_of(spool, job_id)
            name = "all" if job_id is None else f"job {job_id}"
            say(f"{name}: {sent} results will be sent, {tried} quarantined jobs will be tried again")
    return 0


def purge(path: Path, say: Say, what: Purge) -> int:
    """Nothing of it comes back. What has not been sent goes only by name and with force (I1)."""
    if not (what.quarantine or what.set_aside or what.seen or what.jobs):
        raise ToolRefused("say what to purge: --quarantine, --set-aside, --seen or --job ID.")
    if what.seen and what.older_than_days is None and not what.force:
        raise ToolRefused(
            "the memory of what was here keeps a job from running twice; "
            "name an age with --older-than DAYS, or say --force."
        )
    with to_change(path) as spool:
        if what.quarantine:
            say(f"{_purge_quarantine(spool, force=what.force)} quarantined rows removed")
        if what.seen:
            before = _lived_s(spool) - (what.older_than_days or 0) * DAY_S
            removed = spool.db.execute(SQL["purge_seen"], {"before": before}).rowcount
            say(f"{removed} entries of the memory of what was here removed")
        documents = [document for job_id in what.jobs for document in _purge_job(spool, job_id, what)]
    for document in documents:  # after the commit
        document.unlink(missing_ok=True)
    if what.jobs:
        say(f"{len(what.jobs)} jobs removed; the bridge hears of it when the agent starts")
    if what.set_aside:
        asides = list(path.glob("spool.damaged-*"))
        for aside in asides:
            shutil.rmtree(aside)
        say(f"{len(asides)} folders of set-aside spools removed")
    return 0


def _send_again(spool: Opened, job_id: str | None) -> int:
    spool.db.execute(SQL["send_again"], {"job_id": job_id})
    return int(spool.db.execute(SQL["count_unsent"], {"job_id": job_id}).fetchone()["jobs"])


def _try_again(spool: Opened, say: Say, job_id: str | None) -> int:
    tried = 0
    for row in spool.db.execute(SQL["quarantine"]).fetchall():
        if job_id not in (None, row["job_id"]):
            continue
        job = _signed_job(row, spool.seal)
        why_not = "its bytes are damaged" if job is None else _why_not(row, job)
        if job is None or why_not:
            reason = f"the quarantined job {row['job_id']} cannot be tried again: {why_not}."
            if job_id is not None:
                raise ToolRefused(f"{reason} Let the agent report it: the bridge sends it again or ends it.")
            say(reason)
            continue
        _hold_again(spool, row, job)
        tried += 1
    return tried


def _signed_job(row: sqlite3.Row, seal: Seal) -> Job | None:
    """I4: only the very bytes whose signature held when they came."""
    kept = checked((row["job_id"], row["attempt"]), row["bytes"], row["crc"], Content.BODY, seal)
    return kept if isinstance(kept, Job) else None


def _why_not(row: sqlite3.Row, job: Job) -> str:
    if job.delivery is Delivery.AT_MOST_ONCE:
        return "it may run only once, and it may have been started"  # I2
    if row["reported"]:
        return "the bridge has been told and has sent it again already"
    return ""


def _hold_again(spool: Opened, row: sqlite3.Row, job: Job) -> None:
    aged_s = max(0.0, time.time() - row["at"])
    left_s = None if job.lives_s is None else job.lives_s - job.age_s - aged_s
    values = {
        "job_id": job.job_id, "attempt": job.attempt, "tag": job.tag, "delivery": str(job.delivery),
        "priority": job.priority, "max_interruptions": job.max_interruptions, "remaining_s": left_s,
        "held_at": time.time(), "body": row["bytes"], "body_crc": row["crc"],
    }  # fmt: skip
    spool.db.execute(SQL["hold_again"], values)
    spool.db.execute(SQL["drop_quarantined"], {"id": row["id"]})


def _nothing_of(spool: Opened, job_id: str) -> ToolRefused:
    states = [row["state"] for row in spool.db.execute(SQL["attempts_of"], {"job_id": job_id})]
    if states:
        return ToolRefused(f"job {job_id} is {states[0]}: it has no result yet; start the agent, it runs it.")
    return ToolRefused(f"job {job_id} is not in this spool; `spool ls` shows what is there.")


def _purge_quarantine(spool: Opened, *, force: bool) -> int:
    unreported = spool.db.execute(SQL["count_unreported"]).fetchone()["rows"]
    if unreported and not force:
        raise ToolRefused(
            f"the bridge has not heard of {unreported} quarantined rows; start the agent, so that it "
            "tells them, or say --force."
        )
    return spool.db.execute(SQL["purge_quarantine"], {"force": force}).rowcount


def _purge_job(spool: Opened, job_id: str, what: Purge) -> list[Path]:
    """Remove each attempt of it; its documents are for the caller to remove."""
    rows = spool.db.execute(SQL["attempts_of"], {"job_id": job_id}).fetchall()
    if not rows:
        raise ToolRefused(f"job {job_id} is not in this spool; `spool ls` shows what is there.")
    for row in rows:
        if row["state"] != "sent" and not what.force:
            raise ToolRefused(
                f"job {job_id} is {row['state']}: nobody else holds it or its result; "
                "let the agent send it, or say --force to lose what is here."
            )
        key = {"job_id": job_id, "attempt": row["attempt"]}
        spool.db.execute(SQL["purge_job"], key)
        spool.db.execute(SQL["purge_log"], key)
        spool.db.execute(SQL["remember"], key | {"at": _lived_s(spool)})
    return [spool.document_path(job_id, row["attempt"]) for row in rows]


def _lived_s(spool: Opened) -> float:
    """The clock of that memory: how long agents of this spool have run."""
    row = spool.db.execute(SQL["lived"], {"key": LIVED}).fetchone()
    return read_lifetime(row["value"] if row else None)
