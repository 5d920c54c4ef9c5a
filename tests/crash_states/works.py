"""The stores that are put under crash enumeration, by name."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from tests.crash_states.ledger_work import LedgerWork
from tests.crash_states.spool_work import SpoolWork
from tests.crash_states.work import Work

WORKS: Final[Mapping[str, Callable[[int], Work[Any, Any]]]] = {
    "ledger": LedgerWork,
    "spool": SpoolWork,
}
