"""Which workers a page shows, in which order, and what is said of all of them. Pure."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from msgspec import Meta, Struct, structs

from bridge.fleet.model import Agent, State
from bridge.fleet.service import Fleet

PER_PAGE: Final = 50
OVER: Final = (State.LEFT, State.REVOKED, State.EXPIRED)
OVER_KEPT_S: Final = 7 * 86_400.0
Sort = Literal["name", "state", "held", "backlog", "spool", "clock"]
Text = Annotated[str, Meta(max_length=200)]


class Asked(Struct, frozen=True, forbid_unknown_fields=False):
    """The query of /workers."""

    q: Text = ""
    state: Literal["", "up", "away", "draining", "stuck"] = ""
    group: Text = ""
    sort: Sort = "name"
    page: Annotated[int, Meta(ge=1, le=100_000)] = 1

    def link(self, **changed: object) -> str:
        """To the same page with something else asked."""
        values = {**structs.asdict(self), **changed}
        usual = structs.asdict(Asked())
        query = urlencode({name: value for name, value in values.items() if value != usual[name]})
        return f"/workers?{query}" if query else "/workers"


@dataclass(frozen=True, slots=True)
class Group:
    name: str
    title: str
    agents: Sequence[Agent]  # of it, those on this page
    counts: "Counts"  # of all of it


@dataclass(frozen=True, slots=True)
class Counts:
    agents: int = 0
    up: int = 0
    away: int = 0
    draining: int = 0
    held: int = 0
    running: int = 0
    backlog: int = 0


@dataclass(frozen=True, slots=True)
class Shown:
    groups: Sequence[Group]
    matching: int
    pages: int
    counts: Counts  # of the whole fleet

    @property
    def agents(self) -> list[Agent]:
        return [agent for group in self.groups for agent in group.agents]

    @property
    def membership(self) -> str:
        """Changes when other rows belong on the page, or in another order."""
        return " ".join([str(self.matching), *(agent.worker for agent in self.agents)])


def shown(fleet: Fleet, asked: Asked) -> Shown:
    matching = [agent for agent in fleet.agents if _matches(agent, asked, fleet.titles, fleet.now_s)]
    key = ORDERS[asked.sort]
    matching.sort(key=lambda agent: (_title(agent.group, fleet), key(agent), agent.worker))
    page = min(asked.page, _pages(len(matching)))
    on_page = matching[(page - 1) * PER_PAGE : page * PER_PAGE]
    names = dict.fromkeys(agent.group for agent in on_page)
    groups = [
        Group(
            name,
            _title(name, fleet),
            [agent for agent in on_page if agent.group == name],
            counted([agent for agent in fleet.agents if agent.group == name]),
        )
        for name in names
    ]
    return Shown(groups, len(matching), _pages(len(matching)), counted(fleet.agents))


def counted(agents: Sequence[Agent]) -> Counts:
    states = Counter(agent.state for agent in agents)
    there = states[State.UP] + states[State.DRAINING]
    return Counts(
        agents=len(agents),
        up=there,
        away=states[State.DOWN],
        draining=states[State.DRAINING],
        held=sum(agent.held or 0 for agent in agents),
        running=sum(agent.running or 0 for agent in agents if agent.is_there),
        backlog=sum(agent.backlog or 0 for agent in agents),
    )


def _pages(matching: int) -> int:
    return max(1, -(-matching // PER_PAGE))


def _title(group: str, fleet: Fleet) -> str:
    return fleet.titles.get(group, group)


def _matches(agent: Agent, asked: Asked, titles: Mapping[str, str], now_s: float) -> bool:
    """What was sent away long ago is found only by whoever looks for it."""
    if asked.group and agent.group != asked.group:
        return False
    if asked.state and not STATES[asked.state](agent):
        return False
    sought = asked.q.casefold().split()
    if not (sought or asked.state) and agent.state in OVER and now_s - agent.last_heard > OVER_KEPT_S:
        return False
    text = " ".join([agent.worker, titles.get(agent.group, ""), agent.version, *agent.tags]).casefold()
    return all(word in text for word in sought)


def _is_stuck(agent: Agent) -> bool:
    """It holds something and cannot bring it back."""
    return not agent.is_there and bool((agent.held or 0) + (agent.backlog or 0))


STATES: Final[dict[str, Callable[[Agent], bool]]] = {
    "up": lambda agent: agent.is_there,
    "away": lambda agent: not agent.is_there,
    "draining": lambda agent: agent.state is State.DRAINING,
    "stuck": _is_stuck,
}
ORDERS: Final[dict[str, Callable[[Agent], Any]]] = {
    "name": lambda agent: agent.name.casefold(),
    "state": lambda agent: (agent.is_there, agent.state is State.DRAINING, agent.since),
    "held": lambda agent: -(agent.held or 0),
    "backlog": lambda agent: (-(agent.backlog or 0), agent.backlog_since or 0.0),
    "spool": lambda agent: -(agent.spool_share or 0.0),
    "clock": lambda agent: -abs(agent.clock_offset_ms or 0),
}
