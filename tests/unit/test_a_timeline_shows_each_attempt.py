"""Where a job's custody has been: a row of steps for each attempt, with holders and ages."""

from dataclasses import replace

import pytest

from bridge.fleet.model import Agent, Kind, State
from bridge.runs.facts import attempt_of, may_serve, server_of
from bridge.runs.model import Attempt, Facts, Job, Link, Standing, Where
from bridge.runs.timeline import Row, timeline

JOB = Job(job_id="j", workspace="main", tag="pos", where=Where.RUNNING, created_at=100.0)
LOST = Attempt(
    number=1, state="closed", taken_at=101.0, published_at=102.0, custodian="ag-a", accepted_at=110.0,
    closed_at=400.0, outcome="lost",
)  # fmt: skip
OUT = Attempt(
    number=2, state="accepted", taken_at=400.0, published_at=401.0, custodian="ag-b", accepted_at=402.0,
    started_at=405.0,
)  # fmt: skip


def shown(row: Row) -> list[tuple[str, str, str, float | None]]:
    return [(step.name, step.reached.value, step.holder, step.lasted_s) for step in row.steps]


def test_what_is_out_stands_where_it_is() -> None:
    first, second = timeline(Facts(now_s=500.0, job=JOB, attempts=[LOST, OUT]))
    assert shown(first) == [
        ("cluster", "done", "the cluster", 1.0),
        ("bridge", "done", "the bridge", 1.0),
        ("broker", "done", "RabbitMQ", 8.0),
        ("site", "done", "ag-a", 290.0),
        ("running", "never", "", None),
        ("result spooled", "never", "", None),
        ("delivered", "never", "", None),
    ]
    assert first.outcome == "given up: its custodian was lost, or refused it"
    assert first.remarks == ["ag-a is to be told to drop it"]
    assert shown(second)[3:6] == [
        ("site", "done", "ag-b", 3.0),
        ("running", "now", "ag-b", 95.0),
        ("result spooled", "ahead", "", None),
    ]
    assert second.outcome is None


def test_what_is_odd_is_remarked() -> None:
    late = replace(LOST, late=2, revoked="superseded")
    told = replace(LOST, revoked="superseded")
    cut_off = replace(OUT, state="closed", outcome="success", result_at=450.0, closed_at=450.0,
                      finished_while_down=True, finished_at=420.0, cancel_sent="ana")  # fmt: skip
    rows = timeline(Facts(now_s=500.0, job=JOB, attempts=[late, told, cut_off]))
    assert [list(row.remarks) for row in rows] == [
        ["2 results of it came late, and changed nothing"],
        ["ag-a has been told to drop it"],
        ["finished while its link was down", "ag-b was told of the cancel"],
    ]
    assert shown(rows[2])[-2:] == [
        ("result spooled", "done", "ag-b", 30.0),
        ("delivered", "done", "the cluster", None),
    ]


def test_a_step_that_nobody_told_of_is_passed() -> None:
    """An acceptance may overtake the note that it was published; a start may never be told."""
    quick = Attempt(number=1, state="closed", taken_at=101.0, custodian="ag-a", accepted_at=102.0,
                    finished_at=103.0, result_at=104.0, closed_at=104.0, outcome="success")  # fmt: skip
    (row,) = timeline(Facts(now_s=500.0, job=JOB, attempts=[quick]))
    assert [step.reached.value for step in row.steps] == ["done"] * 7


def test_over_http_the_cluster_hands_it_out_itself() -> None:
    job = replace(JOB, worker="ag-h", handed_out_at=130.0, restarts=1)
    (row,) = timeline(Facts(now_s=150.0, job=job))
    assert row.number == 2
    assert row.remarks == ["handed out 2 times: whoever had it before was lost"]
    assert shown(row) == [
        ("cluster", "done", "the cluster", 30.0),
        ("worker", "now", "ag-h", 20.0),
        ("delivered", "ahead", "", None),
    ]
    over = replace(job, where=Where.OVER, status="success", completed_at=160.0, restarts=0)
    (row,) = timeline(Facts(now_s=500.0, job=over))
    assert shown(row)[1:] == [("worker", "done", "ag-h", 30.0), ("delivered", "done", "the cluster", None)]
    assert row.remarks == []


def test_the_times_of_a_site_are_put_right_by_its_offset() -> None:
    row = dict.fromkeys(
        (
            "published_at",
            "accepted_at",
            "result_at",
            "closed_at",
            "outcome",
            "revoked",
            "cancel_sent",
            "waits_for",
        )
    )
    known = row | {
        "attempt": 1, "state": "accepted", "taken_at": 100.0, "custodian": "ag-a", "started_at": 3_705.0,
        "finished_at": None, "clock_offset_ms": 3_600_000, "late": 0, "finished_while_down": 1,
    }  # fmt: skip
    assert attempt_of(known).started_at == 105.0


@pytest.mark.parametrize(
    ("state", "standing", "since"),
    [
        (State.UP, Standing.UP, 990.0),
        (State.DRAINING, Standing.DRAINING, 990.0),
        (State.DOWN, Standing.DOWN, 100.0),
        (State.LEFT, Standing.LEFT, 100.0),
        (State.REVOKED, Standing.DOWN, 100.0),
    ],
)
def test_how_an_agent_of_the_fleet_stands(state: State, standing: Standing, since: float) -> None:
    agent = Agent(
        worker="ag-a", group="g", kind=Kind.BROKER, state=state, since=100.0, last_heard=990.0, tags=("pos",)
    )  # fmt: skip
    found = server_of(agent, has_broker=True)
    assert (found.standing, found.since, found.link) == (standing, since, Link.BROKER)
    assert server_of(agent, has_broker=False).link is Link.HTTP
    assert may_serve(agent, "pos") is (state is not State.REVOKED)
    assert not may_serve(agent, "till")
