"""The jobs of a chaos run: each writes its own start and end where an outsider can read them."""

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Final
from uuid import UUID

from tests.chaos.plan import SITES

SHARED_TAG: Final = "any"
LARGE_CHARS: Final = 300_000
MANY_LINES: Final = 400
AT_MOST_ONCE_SHARE: Final = 0.25
SHARED_SHARE: Final = 0.25

# One short line, written with O_APPEND, is whole however many processes write to the file.
BASH: Final = """
me="$ORVANTA_IDEMPOTENCY_KEY $ORVANTA_ATTEMPT $$"
echo "S $me $EPOCHREALTIME" >> "$HOME/journal"
{body}
echo "E $me $EPOCHREALTIME" >> "$HOME/journal"
{answer}
"""
LINES: Final = 'for ((n = 0; n < {lines}; n++)); do echo "L$$:$n;"; done'
PYTHON3: Final = """
import os, time

def main():
    me = f"{{os.environ['ORVANTA_IDEMPOTENCY_KEY']}} {{os.environ['ORVANTA_ATTEMPT']}} {{os.getpid()}}"

    def note(what):
        with open(os.environ["HOME"] + "/journal", "a") as journal:
            journal.write(f"{{what}} {{me}} {{time.time():.6f}}\\n")

    note("S")
    for n in range({lines}):
        print(f"L{{os.getpid()}}:{{n}};", flush=True)
    note("E")
    return me + {tail!r}
"""


@dataclass(frozen=True, slots=True)
class Shape:
    """A sort of job; `tail` characters of nothing follow what makes its result its own."""

    language: str
    share: int  # of a thousand
    lines: int = 1
    takes_s: float = 0.0
    tail: int = 0


SHAPES: Final = (
    Shape("bash", 860),
    Shape("bash", 30, lines=MANY_LINES),
    Shape("bash", 40, takes_s=1.0),
    Shape("bash", 20, takes_s=4.0, lines=5),
    Shape("bash", 10, tail=LARGE_CHARS),
    Shape("python3", 30, lines=3),
    Shape("python3", 10, tail=LARGE_CHARS),
)


@dataclass(frozen=True, slots=True)
class Order:
    """One job as it is submitted."""

    job_id: str
    shape: Shape
    tag: str
    delivery: str

    @property
    def code(self) -> str:
        shape = self.shape
        if shape.language == "python3":
            return PYTHON3.format(lines=shape.lines, tail=" " * bool(shape.tail) + "0" * shape.tail)
        body = LINES.format(lines=shape.lines) + (f"\nsleep {shape.takes_s}" if shape.takes_s else "")
        large = f'printf \'"%s %0{shape.tail}d"\' "$me" 0 > result.json'
        return BASH.format(body=body, answer=large if shape.tail else 'echo "$me"')


def orders(seed: int, count: int) -> Iterator[Order]:
    draw = Random(f"jobs {seed}")  # noqa: S311 a seeded choice, no secret
    shares = [shape.share for shape in SHAPES]
    for _ in range(count):
        (shape,) = draw.choices(SHAPES, shares)
        yield Order(
            job_id=str(UUID(int=draw.getrandbits(128))),
            shape=shape,
            tag=SHARED_TAG if draw.random() < SHARED_SHARE else draw.choice(SITES),
            delivery="at_most_once" if draw.random() < AT_MOST_ONCE_SHARE else "at_least_once",
        )
