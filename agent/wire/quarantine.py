"""How a result stands that comes with a refused token: a header of the 401 that answers it."""

from typing import Final

HEADER: Final = "Orvanta-Quarantine"  # of the answer; of a request without a body, with `ASK`
ASK: Final = "ask"  # how does it stand? Nothing is brought
WANTED: Final = "wanted"  # it is not here, and would be kept
KEPT: Final = "kept"  # an operator will decide
ACCEPTED: Final = "accepted"  # it is the job's result: the agent may let go
REJECTED: Final = "rejected"  # nobody wants it: the agent may let go
UNWANTED: Final = "unwanted"  # this worker never held the job, or what it brought was recorded long ago
DECIDED: Final = frozenset({ACCEPTED, REJECTED})
