from dataclasses import replace

from agent.jobs.model import Event, Held, State
from agent.jobs.reconciler import after_crash, reconcile, why_abandoned
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery

JOB = Held(
    job_id=JobId("j"),
    attempt=Attempt(1),
    tag=Tag("t"),
    state=State.STARTED,
    delivery=Delivery.AT_LEAST_ONCE,
    held_at=0.0,
)


def test_at_least_once_is_run_again_three_times_then_it_is_poison() -> None:
    for interruptions in range(3):
        assert after_crash(replace(JOB, interruptions=interruptions)) is Event.INTERRUPTED
    poison = replace(JOB, interruptions=3)
    assert after_crash(poison) is Event.ABANDONED
    assert why_abandoned(poison)["name"] == "Poison"


def test_at_most_once_is_never_run_again() -> None:
    job = replace(JOB, delivery=Delivery.AT_MOST_ONCE)
    assert after_crash(job) is Event.ABANDONED  # I2
    assert why_abandoned(job)["name"] == "Interrupted"


def test_a_cancelled_one_is_not_run_again() -> None:
    job = replace(JOB, canceled_by="ana", cancel_reason="typo")
    assert after_crash(job) is Event.ABANDONED
    assert why_abandoned(job)["canceler"] == "ana"


def test_only_started_jobs_are_touched() -> None:
    others = [replace(JOB, state=state) for state in State if state is not State.STARTED]
    assert reconcile([*others, JOB]) == [(JOB, Event.INTERRUPTED)]
