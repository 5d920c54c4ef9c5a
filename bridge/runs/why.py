"""Why a job is where it is, in one plain sentence. Pure: facts in, sentence out."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import Final

from bridge.runs.model import AWAY, Attempt, Facts, Link, Server, Standing, Supply, Where

DAY_S: Final = 86_400
MB: Final = 1024 * 1024
BRIDGE: Final = (
    "ag-bridge-"  # how the names of bridges begin, for whom the cluster's record is no more than that
)
SILENT_S: Final = 45.0  # whoever runs a job says so more often


class Mood(StrEnum):
    MOVES = "moves"
    WAITS = "waits"  # and goes on by itself
    STUCK = "stuck"  # somebody has to do something
    OVER = "over"


@dataclass(frozen=True, slots=True)
class At:
    """A moment within a sentence, in wall seconds."""

    wall_s: float


Words = tuple[str | At, ...]


@dataclass(frozen=True, slots=True)
class Why:
    mood: Mood
    words: Words

    def text(self, now_s: float) -> str:
        """For who reads no page; times are UTC."""
        return "".join(one if isinstance(one, str) else _clock(one.wall_s, now_s) for one in self.words)


def why(facts: Facts) -> Why:
    facts = _of_those_who_run_it(facts)
    job, attempt = facts.job, facts.current
    if job.where is Where.OVER:
        return _ended(facts)
    if job.canceled_by is not None:
        return _being_cancelled(facts)
    if attempt is not None:
        return _out(facts, attempt)
    if job.where is Where.LATER:
        return _waits("scheduled for ", At(job.scheduled_for), "; nothing is to be done before")
    if job.where is Where.RUNNING:
        return _handed_out(facts)
    return _in_cluster(facts)


def _ended(facts: Facts) -> Why:
    job = facts.job
    words: Words = ("delivered at ", At(job.completed_at or facts.now_s), f": {job.status}")
    if job.status == "canceled" and job.canceled_by:
        reason = f" ({job.canceled_reason})" if job.canceled_reason else ""
        words = (f"cancelled by {job.canceled_by}{reason} at ", At(job.completed_at or facts.now_s))
    if job.percent is not None and job.status != "success":
        words += (f", at {job.percent} %",)
    if facts.quarantined:
        words += (f"; {_many(facts.quarantined, 'result')} of a revoked agent in quarantine",)
    return Why(Mood.OVER, words)


def _being_cancelled(facts: Facts) -> Why:
    job, holder = facts.job, facts.holder
    asked = f"{job.canceled_by} cancelled it"
    if holder is None:
        return _waits(f"{asked}; it ends as soon as the bridge has seen it")
    if holder.standing in AWAY:
        return _waits(
            f"{asked}, but {holder.name} has it, and is {holder.standing} since ", At(holder.since),
            "; it is told when it is back. To end the job without it, cancel it now and for good",
        )  # fmt: skip
    return Why(Mood.MOVES, (f"{asked}; {holder.name} is told, and stops it",))


def _in_cluster(facts: Facts) -> Why:
    """Nobody has been given it."""
    job = facts.job
    if job.waits_for is not None:
        return _waits(
            f"its concurrency limit is reached: of the key {job.waits_for} {facts.in_key} of {job.met_limit} "
            "places are taken; it goes on when one is free"
        )
    if not facts.servers or not any(one.runs(job.language) for one in facts.servers):
        return _nobody(facts)
    return _through_http(facts) or _broker_trouble(facts) or _paced(facts)


def _through_http(facts: Facts) -> Why | None:
    """None: its way leads through the broker."""
    over_http = [one for one in facts.servers if one.link is Link.HTTP]
    if any(one.standing is Standing.UP for one in over_http):
        return _in_line(facts)
    if len(over_http) == len(facts.servers):
        return _waits(*_for_tag(facts), *_until_they_return(facts.servers))
    return None


def _paced(facts: Facts) -> Why:
    job, way = facts.job, facts.way
    if way.ready_max is not None and way.waiting >= way.ready_max:
        full = f"{_many(way.waiting, 'job')} of tag {job.tag} already, and {way.ready_max} are the most"
        return _waits(f"paused by ready_max: the broker has {full}; ", *_them(facts.servers))
    return _in_line(facts)


def _in_line(facts: Facts) -> Why:
    if facts.ahead:
        return _waits(f"waiting for tag {facts.job.tag}, behind {_many(facts.ahead, 'other job')} of it")
    return Why(Mood.MOVES, (f"next in line for tag {facts.job.tag}: whoever asks first gets it",))


def _out(facts: Facts, attempt: Attempt) -> Why:
    """The bridge answers for it."""
    if attempt.custodian is not None:
        return _at_site(facts, attempt, attempt.custodian)
    if (trouble := _broker_trouble(facts)) is not None:
        return trouble
    if attempt.state == "taken" and attempt.waits_for is not None:
        return _held_back(facts, attempt.waits_for)
    if attempt.state == "taken":
        return Why(Mood.MOVES, ("the bridge has it and publishes it",))
    return _in_broker(facts) if facts.servers else _nobody(facts)


def _of_those_who_run_it(facts: Facts) -> Facts:
    """With those of its tag alone that run its language, if there are any: the others do not count."""
    able = [one for one in facts.servers if one.runs(facts.job.language)]
    return replace(facts, servers=able) if able else facts


def _held_back(facts: Facts, language: str) -> Why:
    if not any(one.runs(language) for one in facts.servers):
        return _nobody(facts)
    whom = f"waiting for an agent of tag {facts.job.tag} that runs {language}: "
    return _waits(whom, *_them(facts.servers), *_deadline(facts))


def _in_broker(facts: Facts) -> Why:
    ours = [one for one in facts.servers if one.link is Link.BROKER] or list(facts.servers)
    there = [one for one in ours if one.standing is Standing.UP]
    if not there:
        return _waits(*_for_tag(facts), *_until_they_return(ours), *_deadline(facts))
    if all(_is_full(one) for one in there):
        return _waits(*_for_tag(facts), *_full(there), *_deadline(facts))
    names = there[0].name if len(there) == 1 else f"one of its {len(there)} agents that are up"
    return Why(Mood.MOVES, (f"in the broker, on its way to {names}",))


def _broker_trouble(facts: Facts) -> Why | None:
    way = facts.way
    if way.ready_max is None:
        return _stuck(f"an agent of tag {facts.job.tag} is linked over RabbitMQ; set AMQP_URL of the bridge")
    if not way.is_up:
        return _waits("the bridge has no session with RabbitMQ now; it goes on by itself when there is one")
    if way.blocked:
        return _stuck(f"blocked by RabbitMQ's alarm ({way.blocked}): it takes nothing until that is over")
    return None


def _at_site(facts: Facts, attempt: Attempt, custodian: str) -> Why:
    holder = facts.holder
    if facts.parts:
        of = f" of {facts.parts_of}" if facts.parts_of else ""
        return Why(Mood.MOVES, (f"its result is on its way from {custodian}: {facts.parts}{of} parts came",))
    if holder is None:
        return Why(
            Mood.STUCK, (f"held by {custodian}, which is not known here any more", *_in_the_end(facts, None))
        )
    if holder.standing in AWAY:
        return _not_heard(facts, attempt, holder)
    if attempt.started_at is not None:
        return Why(Mood.MOVES, (f"running at {custodian} since ", At(attempt.started_at), *_so_far(facts)))
    return _not_begun(facts, custodian, holder)


def _not_begun(facts: Facts, custodian: str, holder: Server) -> Why:
    if facts.supply is not None:
        return _waits(f"at {custodian}, {_supply(facts.supply)}")
    if _is_full(holder):
        return _waits(f"at {custodian}, {_busy(holder)}: it starts when a slot is free")
    return Why(Mood.MOVES, (f"at {custodian}, and starts there",))


def _not_heard(facts: Facts, attempt: Attempt, holder: Server) -> Why:
    if facts.way.ready_max is not None and not facts.way.is_up:
        return _waits(
            f"held by {holder.name}; the bridge has no session with RabbitMQ now, and hears no agent"
        )
    return _waits(
        f"held by {holder.name}, which is {holder.standing} since ",
        At(holder.since),
        *_goes_on(attempt),
        *_in_the_end(facts, holder),
    )


def _handed_out(facts: Facts) -> Why:
    """By the cluster itself, to an agent over HTTP or a worker."""
    job, holder = facts.job, facts.holder
    name = job.worker or "a worker"
    if name.startswith(BRIDGE):
        return Why(Mood.MOVES, ("the bridge is taking it",))
    if facts.parts:
        return Why(Mood.MOVES, (f"its result is on its way from {name}: {_many(facts.parts, 'part')} came",))
    heard = job.last_ping_at or (holder.since if holder else None) or job.handed_out_at or facts.now_s
    if (holder is not None and holder.standing in AWAY) or facts.now_s - heard > SILENT_S:
        return _waits(f"held by {name}, which is not heard of since ", At(heard), *_in_the_end(facts, holder))
    if facts.supply is not None:
        return _waits(f"at {name}, {_supply(facts.supply)}")
    return Why(Mood.MOVES, (f"running at {name} since ", At(job.handed_out_at or heard), *_so_far(facts)))


def _supply(supply: Supply) -> str:
    of = f": {supply.have / MB:.1f} of {supply.size / MB:.1f} MB" if supply.size else ""
    why = f" ({supply.why})" if supply.why else ""
    return f"waits for its dependencies{of}{why}"


def _nobody(facts: Facts) -> Why:
    mend = "no agent has it; add one on the Workers page, or cancel the job"
    if facts.servers:
        language = facts.job.language
        mend = f"no agent of it runs {language}; let a site run {language}, or cancel the job"
    return _stuck(*_for_tag(facts), mend, *_deadline(facts))


def _for_tag(facts: Facts) -> Words:
    return (f"waiting for tag {facts.job.tag}: ",)


def _until_they_return(servers: Sequence[Server]) -> Words:
    return (
        *_them(servers),
        "; it will be dispatched when ",
        "it returns" if len(servers) == 1 else "one returns",
    )


def _them(servers: Sequence[Server]) -> Words:
    """How those who have the tag stand."""
    if len(servers) == 1:
        one = servers[0]
        if one.standing is Standing.UP:
            return (f"its only agent, {one.name}, is up and {_busy(one)}",)
        if one.standing is Standing.DRAINING:
            return (f"its only agent, {one.name}, drains and takes nothing new until it is resumed",)
        return (f"its only agent, {one.name}, is {one.standing} since ", At(one.since), _holding(one))
    draining = sum(one.standing is Standing.DRAINING for one in servers)
    there = sum(one.standing is Standing.UP for one in servers)
    if there:
        return (f"of its {len(servers)} agents {there} {'is' if there == 1 else 'are'} up",)
    if draining:
        return (f"none of its {len(servers)} agents takes it: {draining} draining, the others away",)
    last = max(servers, key=lambda one: one.since)
    return (f"none of its {len(servers)} agents is there, the last was {last.name} at ", At(last.since))


def _full(there: Sequence[Server]) -> Words:
    if len(there) == 1:
        return (f"its only agent that is up, {there[0].name}, is full ({_busy(there[0])})",)
    held, slots = sum(one.held or 0 for one in there), sum(one.slots or 0 for one in there)
    return (f"all {len(there)} agents that are up are full: they hold {held} jobs in {slots} slots",)


def _is_full(one: Server) -> bool:
    return one.held is not None and bool(one.slots) and one.held >= (one.slots or 0)


def _busy(one: Server) -> str:
    if one.held is None or not one.slots:
        return "busy"
    return f"holds {_many(one.held, 'job')} with {_many(one.slots, 'slot')}"


def _holding(one: Server) -> str:
    if one.held is None:
        return ""
    return f"; the agent holds {_many(one.held, 'other job')}" if one.held else "; the agent holds nothing"


def _goes_on(attempt: Attempt) -> Words:
    if attempt.started_at is None:
        return ("; it runs there all the same, and its result comes when the link is back",)
    return ("; it began ", At(attempt.started_at), " and runs on, and its result comes when the link is back")


def _in_the_end(facts: Facts, holder: Server | None) -> Words:
    """What the silence of its holder leads to. `lost_after` counts only while agents can be heard."""
    end = "is dispatched again" if facts.may_replace else "ends as CustodianLost and is not run again"
    if holder is None:
        return (f"; after its lost_after it {end}",)
    return ("; if nothing is heard until ", At(holder.since + facts.lost_after_s), f", it {end}")


def _so_far(facts: Facts) -> Words:
    return () if facts.job.percent is None else (f", {facts.job.percent} % done",)


def _deadline(facts: Facts) -> Words:
    if facts.job.not_after is None:
        return ()
    return ("; if nobody takes it before ", At(facts.job.not_after), ", it ends as Expired")


def _stuck(*words: str | At) -> Why:
    return Why(Mood.STUCK, words)


def _waits(*words: str | At) -> Why:
    return Why(Mood.WAITS, words)


def _many(count: int, one: str) -> str:
    return f"{count} {one if count == 1 else one + 's'}"


def _clock(wall_s: float, now_s: float) -> str:
    when = datetime.fromtimestamp(wall_s, UTC)
    is_today = when.date() == datetime.fromtimestamp(now_s, UTC).date()
    return when.strftime("%H:%M UTC" if is_today else "%Y-%m-%d %H:%M UTC")
