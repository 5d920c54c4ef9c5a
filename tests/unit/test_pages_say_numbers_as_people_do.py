"""Ages, sizes, clocks and a day's outages in words; a strip draws no more than its day."""

from dataclasses import replace

import pytest

from bridge.fleet.model import Agent, History, Kind, Outage, State, over_http
from bridge.fleet.service import Fleet
from bridge.pages import wording
from bridge.pages.plots import day_of
from bridge.pages.strips import WIDTH, strip
from bridge.pages.units import Units, this_month

DAY_S = 86_400.0
NOW_S = 1_800_000_000.0


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, wording.UNKNOWN),
        (-5, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (150, "2 min"),
        (3600 * 3 + 1200, "3 h 20 min"),
        (3600 * 12 + 1200, "12 h"),
        (DAY_S * 2, "2 d"),
        (DAY_S * 2 + 7200, "2 d 2 h"),
    ],
)
def test_ages(seconds: float | None, said: str) -> None:
    assert wording.age(seconds) == said


@pytest.mark.parametrize(
    ("count", "said"),
    [
        (None, wording.UNKNOWN),
        (0, "0 B"),
        (1023, "1023 B"),
        (1536, "1.5 KiB"),
        (2**30, "1.0 GiB"),
        (2**52, "4096 TiB"),
    ],
)
def test_sizes(count: int | None, said: str) -> None:
    assert wording.size(count) == said


@pytest.mark.parametrize(
    ("milliseconds", "said"),
    [(None, wording.UNKNOWN), (999, "in step"), (-4200, "4.2 s behind"), (7_200_000, "2 h ahead")],
)
def test_clocks(milliseconds: int | None, said: str) -> None:
    assert wording.offset(milliseconds) == said


def test_moments_and_counts() -> None:
    assert wording.moment(0.0) == "1970-01-01T00:00:00Z"
    assert (wording.moment(None), wording.clock(None)) == ("", wording.UNKNOWN)
    assert [wording.many(count, "job") for count in (0, 1, 2)] == ["0 jobs", "1 job", "2 jobs"]


def agent(state: State, since: float = NOW_S) -> Agent:
    return Agent(worker="ag-s-a", group="s", kind=Kind.BROKER, state=state, since=since, last_heard=since)


def history(*outages: Outage, done: dict[int, int] | None = None) -> History:
    return History(NOW_S - DAY_S, NOW_S, 900.0, {"ag-s-a": outages}, {"ag-s-a": done or {}})


def test_a_strip_of_a_day_without_news() -> None:
    drawn = strip(agent(State.UP), history())
    assert (drawn.spans, drawn.bars, drawn.told) == ((), "", "up all of the last 24 h")


def test_a_worker_that_is_new_was_not_up_before_it_came() -> None:
    new = replace(agent(State.UP), known_since=NOW_S - 3600)
    drawn = strip(new, history())
    assert [(span.kind, span.x, span.width) for span in drawn.spans] == [("before", 0.0, 276.0)]
    assert drawn.told == "up all of the time since it came"
    day = day_of(Fleet(NOW_S, [new, agent(State.UP)], {}, history(), []))
    assert (day.up[0], day.up[-1], day.up.count(2)) == (1, 2, 4)


def test_a_strip_says_what_was_and_what_is() -> None:
    outages = (
        Outage(NOW_S - 2 * DAY_S, NOW_S - DAY_S + 3600, on_purpose=False),  # it began the day before
        Outage(NOW_S - 7200, NOW_S - 3600, on_purpose=True),
        Outage(NOW_S - 60, None, on_purpose=False),  # is drawn from what the agent's state says
    )
    drawn = strip(agent(State.DOWN, NOW_S - 1800), history(*outages, done={0: 1, 1: 100}))
    assert [span.kind for span in drawn.spans] == ["down", "away", "down"]
    assert [span.x for span in drawn.spans] == [0.0, 264.0, 282.0]
    assert drawn.spans[-1].x + drawn.spans[-1].width == WIDTH
    assert drawn.bars.count("M") == 2
    assert (
        drawn.told == "down for 2 h of the last 24 h, in 2 outages, and away now; 101 jobs finished meanwhile"
    )


def test_an_enrolled_agent_over_http_is_there_while_it_asks() -> None:
    before = agent(State.DOWN, NOW_S - 3600)
    there = over_http(before, NOW_S - 30, running=2, now_s=NOW_S)
    assert (there.kind, there.state, there.running) == (Kind.HTTP, State.UP, 2)
    assert over_http(before, NOW_S - 90, running=0, now_s=NOW_S).state is State.DOWN
    assert over_http(agent(State.REVOKED), NOW_S, running=0, now_s=NOW_S).state is State.REVOKED


def test_units() -> None:
    assert (Units("2027-01", 3).self_hosted, Units("2027-01", 3).cloud) == ("3", "1.5")
    assert this_month([("2027-01", 3)], NOW_S).workers == 3
    assert this_month([("2026-12", 3)], NOW_S).workers == 0
