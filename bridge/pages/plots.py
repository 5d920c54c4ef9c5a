"""The last day of a fleet in numbers: how many were up, what was finished by those that were not. Pure."""

from itertools import accumulate

from msgspec import Struct

from bridge.fleet.service import Fleet
from bridge.pages.strips import outages_of


class Day(Struct):
    """Lists of one length, a point for each stretch of the history: as the chart library takes them."""

    at: list[float]  # wall seconds
    up: list[int]
    done: list[int]  # jobs finished while the link of their site was down


def day_of(fleet: Fleet) -> Day:
    history = fleet.history
    points = max(1, round((history.until - history.since) / history.step_s))
    changes, done = [0] * (points + 1), [0] * points
    for agent in fleet.agents:
        if agent.known_since > history.since:
            changes[0] -= 1
            changes[_place(agent.known_since, fleet, points)] += 1
        for one in outages_of(agent, history):
            changes[_place(one.down_at, fleet, points)] -= 1
            if one.up_at is not None:
                changes[_place(one.up_at, fleet, points)] += 1
        for place, jobs in history.done_while_down.get(agent.worker, {}).items():
            if place < points:
                done[place] += jobs
    up = list(accumulate(changes[:points], initial=len(fleet.agents)))[1:]
    return Day([history.since + place * history.step_s for place in range(points)], up, done)


def _place(at: float, fleet: Fleet, points: int) -> int:
    place = int((at - fleet.history.since) // fleet.history.step_s)
    return min(points, max(0, place))
