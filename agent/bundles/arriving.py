"""One artefact on its way: what was asked for, what came, and where it goes on. Values in, values out."""

from collections.abc import Iterator
from dataclasses import dataclass, field

from agent.bundles.pace import IN_FLIGHT, PartPace
from agent.wire.bundles import PART_MAX_BYTES, Artefact


@dataclass(slots=True)
class Arriving:
    """Outlives a life of the link: parts that were on their way in the last one come first in the next."""

    artefact: Artefact
    offset: int  # so many of its first bytes are on the disk
    pace: PartPace = field(default_factory=PartPace)
    asked: dict[int, int] = field(default_factory=dict)  # start → size
    came: dict[int, bytes] = field(default_factory=dict)  # beyond a gap; bounded as what is asked for
    moved_s: float = 0.0  # monotonic: when something was asked for, or came
    is_gone: bool = False  # whoever had it has it no more

    @property
    def is_whole(self) -> bool:
        return self.offset >= self.artefact.size

    def to_ask(self, now_s: float) -> Iterator[tuple[int, int]]:
        """The parts to ask for now: start and size of each."""
        while len(self.asked) < max(1, IN_FLIGHT - len(self.came)):
            start = self._next_start()
            size = min(self.pace.size, self.artefact.size - start)
            if size <= 0:
                return
            if not self.asked:
                self.moved_s = now_s
            self.asked[start] = size
            yield start, size

    def take(self, start: int, part: bytes, now_s: float) -> None:
        """A part that came. What nobody waits for changes nothing (I6)."""
        if not part:
            self.is_gone = True
            return
        most = self.offset + IN_FLIGHT * PART_MAX_BYTES
        if start + len(part) <= self.offset or start + len(part) > min(most, self.artefact.size):
            return
        if self.asked.pop(start, None) == len(part) == self.pace.size:
            self.pace = self.pace.after(now_s - self.moved_s)
        self.moved_s = now_s
        if start < self.offset:
            start, part = self.offset, part[self.offset - start :]
        if len(self.came) < IN_FLIGHT or start == self.offset:
            self.came[start] = part

    def next_part(self) -> bytes | None:
        """What is to be written at `offset`."""
        return self.came.get(self.offset)

    def written(self, offset: int) -> None:
        """So many bytes are on the disk now."""
        self.came.pop(self.offset, None)
        self.offset = offset
        self.came = {start: part for start, part in self.came.items() if start >= offset}

    def ask_again(self) -> None:
        """Nothing of what was asked for will come: the link is another, or was silent for too long."""
        self.asked.clear()

    def _next_start(self) -> int:
        """The first byte that is neither here nor asked for."""
        start = self.offset
        known = sorted({**self.asked, **{at: len(part) for at, part in self.came.items()}}.items())
        for at, size in known:
            if at > start:
                break
            start = max(start, at + size)
        return start
