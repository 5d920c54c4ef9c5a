"""A worker's last 24 hours as a strip: when its link was down, and what it finished meanwhile. Pure.

Drawn by the bridge, a rectangle for each outage: a page of fifty of them weighs little and needs no script.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from bridge.fleet.model import Agent, History, Outage
from bridge.pages.wording import age, many

WIDTH: Final = 288  # five minutes to a unit
BARS: Final = 14  # height of what was done while down
LEAST: Final = 1.0  # a short outage is seen too


@dataclass(frozen=True, slots=True)
class Span:
    x: float
    width: float
    kind: str  # down, away, before


@dataclass(frozen=True, slots=True)
class Strip:
    spans: tuple[Span, ...]
    bars: str  # a path
    told: str  # the same in words


def strip(agent: Agent, history: History) -> Strip:
    outages = list(outages_of(agent, history))
    done = history.done_while_down.get(agent.worker, {})
    return Strip(
        (*_before(agent, history), *(_span(one, history) for one in outages)),
        _bars(done, history),
        _told(agent, outages, sum(done.values()), history),
    )


def outages_of(agent: Agent, history: History) -> Iterator[Outage]:
    """What is known to have ended, and what goes on now, whether it is written down yet or not."""
    for one in history.outages.get(agent.worker, ()):
        if one.up_at is not None:
            yield one
    if not agent.is_there:
        yield Outage(agent.since, None, agent.state != "down")


def _x(at: float, history: History) -> float:
    share = (at - history.since) / (history.until - history.since)
    return WIDTH * min(1.0, max(0.0, share))


def _before(agent: Agent, history: History) -> Iterator[Span]:
    """It was not known yet."""
    if agent.known_since > history.since:
        yield Span(0.0, round(_x(agent.known_since, history), 1), "before")


def _span(one: Outage, history: History) -> Span:
    start = _x(one.down_at, history)
    end = WIDTH if one.up_at is None else _x(one.up_at, history)
    return Span(round(start, 1), round(max(LEAST, end - start), 1), "away" if one.on_purpose else "down")


def _bars(jobs: Mapping[int, int], history: History) -> str:
    """Each stretch's jobs, by the logarithm: one job is seen beside a thousand."""
    most = max(jobs.values(), default=0)
    unit = WIDTH * history.step_s / (history.until - history.since)
    pieces = []
    for place, count in sorted(jobs.items()):
        height = max(2.0, BARS * math.log1p(count) / math.log1p(most))
        pieces.append(f"M{place * unit:.1f} {BARS}v-{height:.1f}h{max(1.0, unit - 0.6):.1f}v{height:.1f}z")
    return "".join(pieces)


def _told(agent: Agent, outages: list[Outage], done: int, history: History) -> str:
    ended = [(one.down_at, one.up_at) for one in outages if one.up_at is not None]
    down_s = sum(up_at - max(down_at, history.since) for down_at, up_at in ended)
    shown = "time since it came" if agent.known_since > history.since else "last 24 h"
    said = f"up all of the {shown}"
    if ended:
        said = f"down for {age(down_s)} of the {shown}, in {many(len(ended), 'outage')}"
    if len(ended) < len(outages):
        said = f"{said}, and away now" if ended else "away now"
    return f"{said}; {many(done, 'job')} finished meanwhile" if done else said
