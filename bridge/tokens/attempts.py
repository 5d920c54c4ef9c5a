"""How often a password may be guessed."""

from collections import OrderedDict, deque
from typing import Final

from agent.clock import Clock
from bridge.errors import NotYet

ADDRESS_MAX: Final = 10  # refused logins of one address in WINDOW_S
EMAIL_MAX: Final = 100  # of one account from anywhere: a crowd guesses slowly, and locks nobody out for long
WINDOW_S: Final = 300.0
REMEMBERED_MAX: Final = 10_000  # addresses and accounts; the one that failed longest ago goes (I6)


class Attempts:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._refused: OrderedDict[tuple[str, str], deque[float]] = OrderedDict()

    def check(self, address: str, email: str) -> None:
        """Raises `NotYet` when too many logins from there, or to there, were refused of late."""
        now_s = self._clock.monotonic_s()
        for key, most in _keys(address, email):
            refused = self._refused.get(key)
            if refused and len(refused) == most and (wait_s := refused[0] + WINDOW_S - now_s) > 0:
                raise NotYet(f"too many refused logins; try again in {wait_s:.0f} s", wait_s)

    def note_refused(self, address: str, email: str) -> None:
        for key, most in _keys(address, email):
            self._refused.setdefault(key, deque(maxlen=most)).append(self._clock.monotonic_s())
            self._refused.move_to_end(key)
        while len(self._refused) > REMEMBERED_MAX:
            self._refused.popitem(last=False)


def _keys(address: str, email: str) -> tuple[tuple[tuple[str, str], int], ...]:
    return (("address", address), ADDRESS_MAX), (("email", email), EMAIL_MAX)
