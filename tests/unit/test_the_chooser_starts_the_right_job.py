from dataclasses import replace

from agent.jobs.chooser import Expire, Start, choose, next_expiry_s, wanted_tags
from agent.jobs.model import Held, State
from agent.jobs.unfinished import Unfinished
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.messages import Delivery

JOB = Held(
    job_id=JobId("j"),
    attempt=Attempt(1),
    tag=Tag("t"),
    state=State.READY,
    delivery=Delivery.AT_LEAST_ONCE,
    held_at=10.0,
)


def test_priority_first_then_age_and_never_more_than_the_slots() -> None:
    old = replace(JOB, job_id=JobId("old"), held_at=1.0)
    urgent = replace(JOB, job_id=JobId("urgent"), priority=5)
    unfinished = Unfinished()
    for job in (JOB, old, urgent):
        unfinished.put(job)
    assert choose(unfinished.ready(2), [], (), 2, 0.0) == [Start(urgent), Start(old)]
    assert choose(unfinished.ready(3), [], (), 2, 0.0) == [Start(urgent), Start(old)]
    assert choose(unfinished.ready(3), [], (), 0, 0.0) == []


def test_a_job_that_has_its_slot_is_not_started_again() -> None:
    other = replace(JOB, job_id=JobId("k"))
    assert choose([JOB, other], [], {JOB.key}, 2, 0.0) == [Start(other)]  # I2
    assert choose([JOB], [], {JOB.key}, 2, 0.0) == []


def test_an_ungranted_job_waits() -> None:
    assert choose([replace(JOB, state=State.WAITING)], [], (), 1, 0.0) == []  # I2


def test_an_expired_job_is_not_started() -> None:
    late = replace(JOB, expires_s=5.0)
    assert choose([late], [late], (), 1, 5.0) == [Expire(late)]
    assert choose([late], [late], (), 1, 4.0) == [Start(late)]
    assert choose([late], [late], {late.key}, 1, 5.0) == []
    assert next_expiry_s([late, JOB], (), 4.0) == 1.0
    assert next_expiry_s([JOB], (), 4.0) is None
    assert next_expiry_s([late], {late.key}, 4.0) is None


def test_a_consumer_closes_at_the_high_water_mark_and_opens_at_half_of_it() -> None:
    tag, limits = Tag("t"), {Tag("t"): 4}
    open_now = frozenset({tag})
    assert wanted_tags({tag: 3}, limits, open_now, has_room=True) == {tag}
    assert wanted_tags({tag: 4}, limits, open_now, has_room=True) == frozenset()
    assert wanted_tags({tag: 3}, limits, frozenset(), has_room=True) == frozenset()
    assert wanted_tags({tag: 2}, limits, frozenset(), has_room=True) == {tag}
    assert wanted_tags({}, limits, open_now, has_room=False) == frozenset()  # I6
