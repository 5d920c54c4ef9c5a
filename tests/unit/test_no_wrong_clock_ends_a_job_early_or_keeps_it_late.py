"""`not_after` at a site whose wall clock is wrong and jumps: the rule, and the real spool."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.jobs.book import Book
from agent.jobs.chooser import Expire, choose
from agent.jobs.deadline import age_on_arrival, deadline_of, expires_s
from agent.spool.spool import Spool
from agent.wire.claims import Attempt, JobId, Tag
from agent.wire.envelope import pack
from agent.wire.messages import Job, Settings

BRIDGE_S = 1_764_000_000.0
YEARS_S = 10 * 365 * 86_400.0
seconds = st.floats(0, 1e7)
lags = st.floats(0, 60)


@dataclass
class Clock:
    """A site's clocks beside the true time, which is the bridge's."""

    true_s: float = BRIDGE_S
    wrong_by_s: float = 0.0
    booted_s: float = BRIDGE_S - 100.0
    boot: str = "first"

    def wall_s(self) -> float:
        return self.true_s + self.wrong_by_s

    def monotonic_s(self) -> float:
        return self.true_s - self.booted_s

    def boot_id(self) -> str:
        return self.boot

    def powered_off(self, seconds_off: float) -> None:
        self.true_s += seconds_off
        self.booted_s = self.true_s - 5.0
        self.boot += "+"


def job(lives_s: float = 3600.0, age_s: float = 0.0) -> Job:
    return Job(
        job_id=JobId("j"), attempt=Attempt(1), workspace="main", tag=Tag("t"), language="bash", code="x",
        args=b"{}", lives_s=lives_s, age_s=age_s, dispatched_at=BRIDGE_S,
    )  # fmt: skip


@given(
    lives=seconds, waited=seconds, said=st.floats(0, 1), ran=seconds, off=seconds, lag=lags, booted=seconds
)
def test_it_is_never_ended_early(
    lives: float, waited: float, said: float, ran: float, off: float, lag: float, booted: float
) -> None:
    """`said`: the share of the wait that the wire knew of. `lag`: how old the bridge's answer was."""
    age_s = age_on_arrival(said * waited, BRIDGE_S, None)
    left_s = lives - age_s
    at_s = waited + ran + off  # seconds since the dispatch, at the restart
    for deadline, now_true_s in (
        (deadline_of(left_s, lives, BRIDGE_S, booted), waited),
        (deadline_of(left_s, lives, BRIDGE_S, booted), at_s),
    ):
        for ahead_s in (None, BRIDGE_S + now_true_s - lag - booted):
            ends_s = now_true_s + expires_s(deadline, ahead_s) - booted
            assert ends_s >= lives - 1e-3


@given(lives=seconds, waited=seconds, off=seconds, lag=lags, booted=seconds)
def test_once_the_bridges_time_is_known_nothing_that_is_too_late_may_start(
    lives: float, waited: float, off: float, lag: float, booted: float
) -> None:
    now_true_s = waited + off
    ahead_s = BRIDGE_S + now_true_s - lag - booted
    ends_s = now_true_s + expires_s(deadline_of(lives, lives, BRIDGE_S, booted), ahead_s) - booted
    assert ends_s <= lives + lag + 1e-3


@given(age=st.floats(-1e9, 1e9), now=st.one_of(st.none(), st.floats(0, 1e10)), dispatched=st.floats(0, 1e10))
def test_an_age_is_never_negative_and_never_less_than_the_wire_says(
    age: float, now: float | None, dispatched: float
) -> None:
    assert age_on_arrival(age, dispatched, now) >= max(0.0, age)


def test_without_a_dispatch_time_only_our_own_count_holds() -> None:
    assert expires_s(deadline_of(10.0, 60.0, 0.0, 5.0), BRIDGE_S) == 15.0
    assert age_on_arrival(3.0, 0.0, BRIDGE_S) == 3.0


class Site:
    """A real spool; each `restarted` opens it anew, as a new process does."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self.path = path
        self.clock = clock

    async def opened(self) -> Book:
        self.spool = await Spool.open(self.path, self.clock)
        self.book = Book(self.spool, self.clock)
        await self.book.load()
        return self.book

    async def restarted(self, meanwhile: Callable[[], object] = lambda: None) -> Book:
        await self.spool.close()
        meanwhile()
        return await self.opened()

    def expired(self) -> bool:
        expiring = self.book.unfinished.expiring(10)
        chosen = choose([], expiring, (), 0, self.clock.monotonic_s())
        return any(isinstance(one, Expire) for one in chosen)


@pytest.fixture
async def site(tmp_path: Path):
    made = Site(tmp_path / "spool", Clock())
    await made.opened()
    yield made
    await made.spool.close()


def jump(clock: Clock, by_s: float) -> None:
    clock.wrong_by_s += by_s


@pytest.mark.parametrize("by_s", [YEARS_S, -YEARS_S, -BRIDGE_S])
async def test_a_jump_changes_nothing(site: Site, by_s: float) -> None:
    await site.book.hold(job(), pack([job()]))
    jump(site.clock, by_s)
    assert not site.expired()
    await site.restarted(lambda: jump(site.clock, by_s))
    assert not site.expired()
    site.clock.true_s += 3601
    assert site.expired()


@pytest.mark.parametrize("by_s", [0.0, YEARS_S, -YEARS_S, -BRIDGE_S])
async def test_a_reboot_ends_nothing_until_the_bridge_says_what_time_it_is(site: Site, by_s: float) -> None:
    await site.book.learn_bridge_time(site.clock.true_s)
    await site.book.hold(job(), pack([job()]))
    await site.restarted(lambda: (site.clock.powered_off(86_400), jump(site.clock, by_s)))
    assert not site.expired()
    assert site.book.bridge_time.clock_offset_ms() is None
    await site.book.learn_bridge_time(site.clock.true_s)
    assert site.expired()
    assert site.book.bridge_time.clock_offset_ms() == round(by_s * 1000)


async def test_a_restart_of_the_agent_alone_forgets_no_time(site: Site) -> None:
    await site.book.learn_bridge_time(site.clock.true_s)
    await site.book.hold(job(), pack([job()]))
    await site.restarted(lambda: jump(site.clock, -BRIDGE_S))
    site.clock.true_s += 3599
    await site.restarted()
    assert not site.expired()
    site.clock.true_s += 2
    await site.restarted()
    assert site.expired()


async def test_the_time_in_the_broker_counts(site: Site) -> None:
    await site.book.learn_bridge_time(site.clock.true_s)
    site.clock.true_s += 3601
    await site.book.hold(job(), pack([job()]))
    assert site.expired()


async def test_without_the_bridges_time_the_age_on_the_wire_counts(site: Site) -> None:
    old = job(age_s=3599)
    await site.book.hold(old, pack([old]))
    assert not site.expired()
    site.clock.true_s += 2
    assert site.expired()


async def test_only_the_answer_to_the_last_hello_is_believed(site: Site) -> None:
    """One to an earlier hello may have waited in the control queue for days."""
    time = site.book.bridge_time
    first = time.ask()
    second = time.ask()
    assert not time.is_asked_for(Settings(wall_s=BRIDGE_S, hello_id=first))
    assert not time.is_asked_for(Settings(wall_s=BRIDGE_S))
    assert time.is_asked_for(Settings(wall_s=BRIDGE_S, hello_id=second))
    assert not time.is_asked_for(Settings(wall_s=BRIDGE_S, hello_id=second))  # sent again by the broker
    assert not time.is_asked_for(Settings(wall_s=BRIDGE_S))


async def test_an_answer_that_the_broker_kept_does_not_set_the_time_back(site: Site) -> None:
    """What the bridge said itself, over HTTPS, is nearer. What contradicts it counts all the same."""
    time = site.book.bridge_time
    await site.book.learn_bridge_time(site.clock.true_s)
    known_s = time.ahead_s
    time.ask()
    answered_s = site.clock.true_s
    site.clock.true_s += 3600  # in the broker's hands
    await site.book.learn_bridge_answer(answered_s)
    assert time.ahead_s == known_s
    time.ask()
    await site.book.learn_bridge_answer(site.clock.true_s - 60)  # somebody has mended the bridge's clock
    assert time.now_s() == site.clock.true_s - 60
    time.ask()
    await site.book.learn_bridge_answer(site.clock.true_s + 60)
    assert time.now_s() == site.clock.true_s + 60
