"""Where a value is to be found, so that a large one need not pass through the machine."""

from msgspec import Struct


class Literal(Struct, frozen=True, tag="literal"):
    """This JSON text."""

    json: str


class OfJob(Struct, frozen=True, tag="job"):
    """The result of an ended job. What a failed one left is `{"error": {...}}`."""

    job_id: str


class ListOf(Struct, frozen=True, tag="list"):
    """The results of a module's children, by position from 0 to `length` - 1.

    A position without a child that has ended (a loop whose deadline came) gives `filler`, JSON text.
    """

    flow_id: str
    module_id: str
    round: int
    length: int
    filler: str = "null"


class ArgsOf(Struct, frozen=True, tag="args"):
    """The arguments of a job as they are now, an object."""

    job_id: str


class Item(Struct, frozen=True, tag="item"):
    """One item of a loop: of the list that `Transition.items` gave to be kept."""

    flow_id: str
    module_id: str
    round: int
    index: int


class WithIter(Struct, frozen=True, tag="with_iter"):
    """`args` with `iter: {index, value}`; an `iter` there becomes `iter_parent` (`values.with_iter`)."""

    args: "Ref"
    index: int
    value: "Ref"


class ObjectOf(Struct, frozen=True, tag="object"):
    """An object put together from these fields, in this order."""

    fields: tuple[tuple[str, "Ref"], ...] = ()


class ErrorIn(Struct, frozen=True, tag="error"):
    """What the name `error` means for a previous result (`values.error_of`)."""

    of: "Ref"


Ref = Literal | OfJob | ListOf | ArgsOf | Item | WithIter | ObjectOf | ErrorIn
