"""How much to have on its way at once: a slow link gets little at a time, a fast one is kept full. Pure."""

from dataclasses import dataclass, replace
from typing import Final

BYTES_MIN: Final = 8 * 1024
BYTES_MAX: Final = 128 * 1024
BATCHES_MAX: Final = 4
FAST_S: Final = 1.0  # a confirm that came within this time: the link takes more
SLOW_S: Final = 4.0  # one that took longer: what waits behind it waits too long, and confirms have a limit
PARTS_MAX: Final = 4  # of 128 KiB: 2.6 MB/s at a round trip of 200 ms, and what a cut costs at most
TRIES: Final = 4  # confirms before twice as many parts are tried
REST: Final = 64  # confirms before it is tried again, when it was too much
STRETCHED: Final = (
    1.5  # a part that takes so many times longer beside others shares the link's width with them
)


@dataclass(frozen=True, slots=True)
class Pace:
    batch_bytes: int = 32 * 1024
    batches: int = 2  # in flight

    def after(self, confirm_s: float) -> "Pace":
        """The pace after a confirm that took so long."""
        if confirm_s < FAST_S:
            return Pace(min(BYTES_MAX, self.batch_bytes * 2), min(BATCHES_MAX, self.batches + 1))
        if confirm_s > SLOW_S:
            return Pace(max(BYTES_MIN, self.batch_bytes // 2), 1)
        return replace(self)


@dataclass(frozen=True, slots=True)
class Window:
    """How many parts of a document may be on their way: more than one only where they do not slow each other.

    So what a cut costs takes at most `STRETCHED` times as long to send again as one part alone.
    """

    size: int = 1
    alone_s: float = 0.0  # what a part took that was alone
    rest: int = 0  # confirms before more are tried
    seen: tuple[float, ...] = ()  # the last confirms at this size

    def after(self, confirm_s: float, size: int) -> "Window":
        """After the confirm of a part that left when the window had this size."""
        if size != self.size:
            return self
        seen, rest = (*self.seen, confirm_s), max(0, self.rest - 1)
        if len(seen) < TRIES or rest:
            return replace(self, rest=rest, seen=seen[-TRIES:])
        took_s = sum(seen) / len(seen)
        if size == 1:
            return Window(2, took_s)
        if took_s > STRETCHED * self.alone_s:
            return Window(size // 2, self.alone_s, REST)
        return Window(min(PARTS_MAX, size * 2), self.alone_s)
