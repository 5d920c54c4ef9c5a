"""What a reference stands for: JSON text from the rows of the store, inside a transaction."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from bridge.flows import status, values
from bridge.flows.refs import ArgsOf, ErrorIn, Item, ListOf, Literal, ObjectOf, OfJob, Ref, WithIter
from bridge.store.statements import Statement, queries
from bridge.store.store import Connection

SQL: Final = queries(Path(__file__).with_name("resolving.sql"))
NULL: Final = "null"


def text_of(connection: Connection, ref: Ref) -> str:
    """JSON text; `null` where nothing is."""
    match ref:
        case Literal():
            return ref.json
        case OfJob():
            return _one(connection, SQL["result"], {"id": ref.job_id})
        case ArgsOf():
            return _one(connection, SQL["args"], {"id": ref.job_id})
        case Item():
            place = {"flow_id": ref.flow_id, "module_id": ref.module_id, "round": ref.round}
            return _one(connection, SQL["item"], {**place, "position": ref.index})
        case ListOf():
            return _list(connection, ref)
        case _:
            return _made(connection, ref)


def _made(connection: Connection, ref: ObjectOf | WithIter | ErrorIn) -> str:
    match ref:
        case ObjectOf():
            fields = (f"{_quoted(name)}:{text_of(connection, field)}" for name, field in ref.fields)
            return f"{{{','.join(fields)}}}"
        case WithIter():
            args, value = text_of(connection, ref.args), text_of(connection, ref.value)
            return values.with_iter(args.encode(), ref.index, value.encode()).decode()
        case ErrorIn():
            return values.error_of(text_of(connection, ref.of).encode()).decode()


def result_above(connection: Connection, flow_id: str | None, module_id: str) -> str:
    """The result of this step in the nearest of this flow and those above it; `null` where none has it."""
    while flow_id is not None:
        level = connection.execute(SQL["level"], {"id": flow_id}).fetchone()
        if level is None:
            return NULL
        found = status.result_of(status.decoded(level["status"]), module_id)
        if found is not None:
            return text_of(connection, found)
        flow_id = level["parent_job"] if level["flow_step_id"] is not None else None
    return NULL


def _list(connection: Connection, ref: ListOf) -> str:
    place = {"flow_id": ref.flow_id, "module_id": ref.module_id, "round": ref.round}
    results = [ref.filler] * ref.length
    for row in connection.execute(SQL["results"], place):
        if row["position"] < ref.length:
            results[row["position"]] = row["result"]
    return f"[{','.join(results)}]"


def _one(connection: Connection, statement: Statement, key: Mapping[str, Any]) -> str:
    row = connection.execute(statement, key).fetchone()
    return NULL if row is None else str(row[0])


def _quoted(name: str) -> str:
    return msgspec.json.encode(name).decode()
