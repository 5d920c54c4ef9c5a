"""I6: what has to wait for room waits, is named for `agent status`, and goes on when there is some."""

import json

from agent.spool.budget import LEAST_BYTES, MIB, Bounds, Measured
from agent.spool.room import Room
from agent.wire.claims import Attempt, JobId

KEY = (JobId("j"), Attempt(1))
QUOTA = 64 * MIB


def yes() -> bool:
    return True


class Disk:
    """A spool that uses as much as the test says, and the notes that are left about it."""

    def __init__(self) -> None:
        self.used = 0
        self.notes: list[str] = []
        self.room = Room(Bounds(quota_bytes=QUOTA, log_bytes=MIB), self.measure, self.notes.append)

    def measure(self) -> Measured:
        return Measured(used=self.used, free=1024 * MIB)

    def said(self, name: str) -> object:
        return json.loads(self.notes[-1])[name]


def test_intake_closes_at_the_quota_and_opens_again() -> None:
    disk = Disk()
    assert disk.room.may_take()
    assert disk.notes == []
    disk.used = QUOTA
    assert not disk.room.may_take()
    assert not disk.room.may_take()
    assert len(disk.notes) == 1
    assert disk.said("takes_jobs") is False
    disk.used = 0
    assert disk.room.may_take()
    assert disk.said("takes_jobs") is True


def test_a_fault_of_the_disk_closes_it_too() -> None:
    disk = Disk()
    disk.room.fault = "it answers with I/O errors"
    assert not disk.room.may_take()
    assert disk.said("fault") == "it answers with I/O errors"


def test_a_job_waits_until_results_have_left() -> None:
    disk = Disk()
    disk.used = QUOTA - 1
    for _ in range(2):
        assert not disk.room.reserve(KEY, backlog=yes)
    assert len(disk.notes) == 1
    assert disk.said("waiting_for_room") == 1
    disk.used = 0
    assert disk.room.reserve(KEY, backlog=yes)
    assert disk.said("waiting_for_room") == 0
    disk.room.release(KEY)
    assert disk.room.reserve(KEY, backlog=yes)
    assert len(disk.notes) == 2  # one that never waited needs no word


def test_a_result_larger_than_its_promise_waits_in_memory() -> None:
    disk = Disk()
    disk.used = QUOTA - LEAST_BYTES
    assert disk.room.reserve(KEY, backlog=yes)
    for _ in range(2):
        assert not disk.room.may_keep(KEY, 2 * LEAST_BYTES, backlog=yes)
    assert len(disk.notes) == 1
    assert disk.said("waiting_for_room") == 1
    disk.used = 0
    assert disk.room.may_keep(KEY, 2 * LEAST_BYTES, backlog=yes)
    disk.room.tell()
    assert disk.said("waiting_for_room") == 0


def test_log_text_stays_within_the_bound_that_the_operator_set() -> None:
    room = Disk().room
    assert room.may_log(MIB)
    room.count_log(MIB)
    assert not room.may_log(1)
    room.count_log(-2 * MIB)  # told as sent twice
    assert room.log_bytes == 0
