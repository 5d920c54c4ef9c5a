"""Pure turns of JSON that a flow needs: what a name means, what a body is given."""

from typing import Any, Final

import msgspec
from msgspec import Raw

ITER: Final = "iter"
PARENT: Final = "_parent"


def with_iter(args: bytes, index: int, value: bytes) -> bytes:
    """The arguments of a loop's body: an `iter` already there moves up to `iter_parent`, and so on."""
    given = _object(args)
    name, moving = ITER, Raw(msgspec.json.encode({"index": index, "value": Raw(value)}))
    while name in given:
        given[name], moving = moving, given[name]
        name += PARENT
    given[name] = moving
    return msgspec.json.encode(given)


def as_args(result: bytes) -> bytes:
    """What a preprocessor gave, as the arguments of its flow."""
    if result.lstrip().startswith(b"{"):
        return result
    return msgspec.json.encode({"value": Raw(result)})


def error_of(previous: bytes) -> bytes:
    """The name `error`: that of the previous result, or of the items of a list that have one."""
    result = msgspec.json.decode(previous)
    if isinstance(result, list):
        return msgspec.json.encode(_of_list(result))
    error = _error(result)
    return msgspec.json.encode(UNKNOWN if error is None else error)


UNKNOWN: Final = {"name": "UnknownError", "message": "the previous step left no error"}


def _of_list(results: list[Any]) -> Any:
    found = [(index, error) for index, one in enumerate(results) if (error := _error(one)) is not None]
    if not found:
        return UNKNOWN
    if len(found) == 1:
        return found[0][1]
    told = "; ".join(f"[{_step(error, index)}] {_message(error)}" for index, error in found)
    return {"name": "MultipleErrors", "message": told, "errors": [error for _, error in found]}


def _error(result: Any) -> Any:
    return result.get("error") if isinstance(result, dict) else None


def _step(error: Any, index: int) -> Any:
    return (error.get("step_id") if isinstance(error, dict) else None) or index


def _message(error: Any) -> Any:
    return error.get("message", "") if isinstance(error, dict) else error


def _object(text: bytes) -> dict[str, Raw]:
    return msgspec.json.decode(text, type=dict[str, Raw])
