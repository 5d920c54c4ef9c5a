"""Which languages the agents of a tag run. Pure."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from agent.wire.claims import Tag

UNTOLD: Final = frozenset({"bash", "python3"})  # what an agent of a release before this one runs

HELD_MAX: Final = 20  # jobs of a tag and a language that wait here for an agent; more stay in the cluster


@dataclass(frozen=True, slots=True)
class Abilities:
    """By tag, what each of its enrolled agents runs."""

    by_tag: Mapping[Tag, Sequence[frozenset[str]]] = field(default_factory=dict)

    @property
    def tags(self) -> frozenset[Tag]:
        return frozenset(self.by_tag)

    def is_run_by_all(self, tag: Tag, language: str) -> bool:
        """Then whoever takes it from the tag's queue can run it. A job without a language is anybody's."""
        return not language or all(language in one for one in self.by_tag.get(tag, ()))

    def is_run(self, tag: Tag, language: str) -> bool:
        return not language or any(language in one for one in self.by_tag.get(tag, ()))

    def wanted(self, lane: Iterable[Tag], held: Mapping[tuple[Tag, str], int]) -> frozenset[str]:
        """The languages of which jobs are pulled: some agent runs them, and not too many wait for it here."""
        tags = list(lane)
        run = frozenset[str]().union(*(one for tag in tags for one in self.by_tag.get(tag, ())))
        return frozenset(one for one in run if all(held.get((tag, one), 0) < HELD_MAX for tag in tags))


def listed(languages: Iterable[str] | None) -> str | None:
    """As the store keeps them; None: not told."""
    return None if languages is None else json.dumps(sorted(languages))


def abilities(agents: Iterable[tuple[Iterable[str], Iterable[str] | None]]) -> Abilities:
    """Of the tags and the languages of each agent; None: it does not tell."""
    found: dict[Tag, list[frozenset[str]]] = {}
    for tags, languages in agents:
        runs = UNTOLD if languages is None else frozenset(languages)
        for tag in tags:
            found.setdefault(Tag(tag), []).append(runs)
    return Abilities(found)
