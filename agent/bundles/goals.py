"""What to do next for the bundles that are wanted. Pure: values in, values out."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeAlias

from agent.wire.bundles import Artefact, Manifest

ASK_AGAIN_S: Final = 30.0  # a question that nobody answered may have been lost


@dataclass(slots=True)
class Known:
    """What is known of one bundle on this platform."""

    manifest: Manifest | None = None
    missing: tuple[Artefact, ...] = ()  # of its artefacts, each once; those on their way too
    is_built: bool = False
    unmet: str = ""  # why it will not be there
    why: str = ""  # why it is not there yet, as the bridge or this site's disk said
    not_before_s: float = 0.0  # monotonic: nothing is asked for before then
    hurt: int = 0  # how often what came was not what the manifest names

    @property
    def is_settled(self) -> bool:
        return self.is_built or bool(self.unmet)


@dataclass(frozen=True, slots=True)
class AskManifest:
    bundle: str


@dataclass(frozen=True, slots=True)
class Fetch:
    bundle: str
    artefact: Artefact


@dataclass(frozen=True, slots=True)
class Rest:
    """Nothing, until something changes or this moment comes."""

    until_s: float | None = field(default=None)


Goal: TypeAlias = AskManifest | Fetch | Rest


def next_goal(wanted: Iterable[str], known: Mapping[str, Known], now_s: float) -> Goal:
    """`wanted`: bundles, the most urgent first. One that has to wait does not hold up those behind it."""
    until_s: float | None = None
    for bundle in wanted:
        one = known.get(bundle, NOTHING)
        if one.is_settled or (one.manifest is not None and not one.missing):
            continue  # it is here, or will never be, or is built from what is here
        if one.not_before_s > now_s:
            until_s = one.not_before_s if until_s is None else min(until_s, one.not_before_s)
            continue
        if one.manifest is None:
            return AskManifest(bundle)
        return Fetch(bundle, one.missing[0])
    return Rest(until_s)


def next_build(wanted: Iterable[str], known: Mapping[str, Known], now_s: float) -> str | None:
    """A bundle of which all is here, and that is not built."""
    for bundle in wanted:
        one = known.get(bundle, NOTHING)
        if one.manifest is not None and not one.missing and not one.is_settled and one.not_before_s <= now_s:
            return bundle
    return None


NOTHING: Final = Known()
