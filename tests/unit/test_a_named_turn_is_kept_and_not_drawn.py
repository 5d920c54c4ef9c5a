"""How long an agent waits between its tries: as the bridge named it, to the moment, or by its own jitter."""

from tenacity import RetryCallState

from agent.errors import AdmissionWaits, LinkDown
from agent.link.retry import reconnect


async def gaps_after(*errors: LinkDown) -> list[float]:
    """The seconds slept after each of these, in one series of tries."""
    slept: list[float] = []
    left = list(errors)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    def before(_state: RetryCallState) -> None: ...

    async for attempt in reconnect(sleep, before):
        with attempt:
            if left:
                raise left.pop(0)
    return slept


async def test_a_turn_is_waited_for_exactly() -> None:
    assert await gaps_after(AdmissionWaits("number 617", 12.341)) == [12.341]
    long = [LinkDown("away")] * 9
    assert (await gaps_after(*long, AdmissionWaits("number 1", 0.02)))[-1] == 0.02


async def test_anything_else_is_spread_by_jitter() -> None:
    gaps_s = await gaps_after(*[LinkDown("away")] * 40)
    assert len(set(gaps_s)) > 20
    assert max(gaps_s) <= 30
