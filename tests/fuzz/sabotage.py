"""Ways to break the product on purpose, to prove that the watching sees them."""

from collections.abc import Callable
from typing import Any, Final
from unittest.mock import patch

from agent.jobs.control import Control
from agent.wire import envelope
from bridge.web import bodies

KEPT: Final[list[bytes]] = []
KEPT_BYTES: Final = 200_000


async def _obeys_nothing(_self: Control, _delivery: object) -> None:
    """And acknowledges nothing."""


def _never_ends(true: Callable[[object], Any]) -> Callable[[object], Any]:
    def searching(item: object) -> Any:
        while not isinstance(item, dict):
            item = repr(item)[:9]
        return true(item)

    return searching


def _forgets_nothing(true: Callable[[object], Any]) -> Callable[[object], Any]:
    def keeping(item: object) -> Any:
        KEPT.append(bytearray(b"x" * KEPT_BYTES))
        return true(item)

    return keeping


SABOTAGES: Final[dict[str, Any]] = {
    "deep_is_told_whole": patch.object(envelope, "shown", repr),
    "types_unchecked": patch.object(envelope, "_checked", lambda _kind, _name, value, *_: value),
    "never_ends": patch.object(envelope, "_from_map", _never_ends(envelope._from_map)),
    "forgets_nothing": patch.object(envelope, "_from_map", _forgets_nothing(envelope._from_map)),
    "obeys_nothing": patch.object(Control, "obey", _obeys_nothing),
    "bodies_unread": patch.object(bodies, "strict_json", lambda text: text),
}
