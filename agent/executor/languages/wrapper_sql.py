"""Runs inside a job: the statements of main.sql, on the database that its arguments name (docs/languages.md).

Written for the agent's own Python, beside which the drivers stand. The rows of the last statement are the
result; all statements are one transaction, where the script does not begin or end its own.
"""
# ruff: noqa: PLC0415 a driver is imported where its database is asked for

from __future__ import annotations

import base64
import datetime as dt
import decimal
import json
import os
import re
import sys
import traceback
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.executor.languages.sql_statements import BadScript, Parameter, Statement, statements
else:
    from sql_statements import BadScript, Parameter, Statement, statements

FETCH_ROWS = 1000
RESULT_BYTES_MAX = 256 * 1024 * 1024  # the agent allows less; this bounds what a careless SELECT writes
CONNECT_S = 15
OWN_TRANSACTION = re.compile(r"\s*(?:begin|start\s+transaction|commit|rollback|end)\b", re.IGNORECASE)


class Postgresql:
    """By psycopg, with the places as PostgreSQL writes them."""

    def __init__(self, database: Any) -> None:
        import psycopg
        from psycopg.raw_cursor import RawCursor  # takes $1, and leaves % alone

        self.error = psycopg.Error
        options: dict[str, Any] = {"connect_timeout": CONNECT_S, "application_name": "orvanta"}
        if isinstance(database, str):
            self.connection = psycopg.connect(database, autocommit=True, **options)
        else:
            known = ("host", "port", "user", "password", "dbname", "sslmode")
            options |= {name: database[name] for name in known if database.get(name) not in (None, "")}
            if pem := database.get("root_certificate_pem"):
                options["sslrootcert"] = written("root.pem", pem)
            self.connection = psycopg.connect(autocommit=True, **options)
        self.cursor = RawCursor(self.connection)

    def execute(self, statement: Statement, args: Mapping[str, Any]) -> None:
        """A value travels as text that its declared type reads; without one PostgreSQL infers it."""
        text, values = statement.pieces[0], []
        for number, (one, after) in enumerate(zip(statement.used, statement.pieces[1:], strict=True), 1):
            text += f"CAST(${number} AS {one.type})" if one.type else f"${number}"
            text += after
            values.append(postgres_value(one, one.value_in(args)))
        self.cursor.execute(text, values)


class Mysql:
    """By PyMySQL, which puts the values in itself."""

    def __init__(self, database: Any) -> None:
        import pymysql

        self.error = pymysql.Error
        if not isinstance(database, dict):
            raise BadScript(
                "the argument database must be a mysql resource: host, port, user, password, database"
            )
        known = ("host", "user", "password", "database")
        options: dict[str, Any] = {name: database[name] for name in known if database.get(name)}
        if database.get("port"):
            options["port"] = int(database["port"])
        if pem := database.get("root_certificate_pem"):
            options["ssl"] = {"ca": written("root.pem", pem)}
        elif database.get("ssl"):
            options["ssl"] = {"ca": None}
        self.connection = pymysql.connect(
            autocommit=True, connect_timeout=CONNECT_S, charset="utf8mb4", **options
        )
        self.cursor = self.connection.cursor()

    def execute(self, statement: Statement, args: Mapping[str, Any]) -> None:
        if not statement.used:
            self.cursor.execute(statement.text)
            return
        text = "%s".join(piece.replace("%", "%%") for piece in statement.pieces)
        self.cursor.execute(text, [plain(one.value_in(args)) for one in statement.used])


class Sqlite:
    """A file of the site; the job's account must be able to reach it."""

    def __init__(self, database: Any) -> None:
        import sqlite3

        self.error = sqlite3.Error
        if isinstance(database, str):
            database = {"path": database}
        path = database.get("path") or database.get("filename")
        if not path:
            raise BadScript('the argument database must be a path, or {"path": ..., "readonly": true}')
        mode = "ro" if database.get("readonly") else "rw" if database.get("must_exist") else "rwc"
        uri = f"{Path(path).absolute().as_uri()}?mode={mode}"
        self.connection = sqlite3.connect(uri, uri=True, isolation_level=None, timeout=CONNECT_S)
        self.cursor = self.connection.cursor()

    def execute(self, statement: Statement, args: Mapping[str, Any]) -> None:
        self.cursor.execute("?".join(statement.pieces), [plain(one.value_in(args)) for one in statement.used])


DIALECTS: dict[str, type[Postgresql | Mysql | Sqlite]] = {
    "postgresql": Postgresql,
    "mysql": Mysql,
    "sqlite": Sqlite,
}


def postgres_value(parameter: Parameter, value: Any) -> Any:
    if isinstance(value, list) and parameter.type.endswith("[]"):
        return [text_of(one) for one in value]
    if parameter.type or isinstance(value, dict | list):
        return text_of(value)
    return value


def text_of(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def plain(value: Any) -> Any:
    """What the other two take: JSON as its text."""
    return json.dumps(value, ensure_ascii=False) if isinstance(value, dict | list) else value


def written(name: str, text: str) -> str:
    Path(name).write_text(text)
    return str(Path(name).absolute())


def storable(value: Any) -> Any:
    """For what JSON does not know; a decimal is a number where that loses nothing, else its text."""
    if isinstance(value, decimal.Decimal):
        if value.is_finite() and value == value.to_integral_value() and abs(value) < 2**53:
            return int(value)
        number = float(value)
        return number if decimal.Decimal(repr(number)) == value else str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return base64.b64encode(bytes(value)).decode()
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, set | frozenset):
        return sorted(map(str, value))
    return str(value)


def document(row: Mapping[str, Any]) -> str:
    try:
        return json.dumps(row, default=storable, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    except ValueError:  # NaN or Infinity, which JSON has not
        finite = {
            name: None if isinstance(one, float) and one - one != 0 else one for name, one in row.items()
        }
        return json.dumps(finite, default=storable, ensure_ascii=False, separators=(",", ":"))


def save_rows(names: Sequence[str], batches: Iterable[Sequence[Sequence[Any]]]) -> int:
    """Write the rows as a list of objects, batch by batch; how many they were."""
    count = size = 0
    with Path("result.json").open("w", encoding="utf-8") as file:
        size += file.write("[")
        for rows in batches:
            for row in rows:
                size += file.write(("," if count else "") + document(dict(zip(names, row, strict=True))))
                count += 1
            if size > RESULT_BYTES_MAX:
                raise BadScript(
                    f"the rows are more than {RESULT_BYTES_MAX} bytes; ask for fewer, or use LIMIT"
                )
        file.write("]")
    return count


def batches_of(cursor: Any) -> Iterable[Sequence[Sequence[Any]]]:
    while rows := cursor.fetchmany(FETCH_ROWS):
        yield rows


def run_all(database: Any, found: Sequence[Statement], args: Mapping[str, Any]) -> None:
    """In one transaction, where there are several statements and none of them begins or ends one."""
    is_ours = len(found) > 1 and not any(OWN_TRANSACTION.match(one.text) for one in found)
    if is_ours:
        database.cursor.execute("BEGIN")
    for number, one in enumerate(found, 1):
        try:
            database.execute(one, args)
            if number == len(found):
                columns = [column[0] for column in database.cursor.description or ()]
                rows = save_rows(columns, batches_of(database.cursor) if columns else ())
                touched = rows if columns else max(database.cursor.rowcount, 0)
                print(f"statement at line {one.line}: {touched} rows")  # noqa: T201 the job's log
        except database.error as error:
            error.add_note(f"in the statement that begins at line {one.line}")
            raise
    if is_ours:
        database.cursor.execute("COMMIT")


def run(dialect: str) -> None:
    args = json.loads(Path("args.json").read_bytes() or b"{}") or {}
    script = Path("main.sql").read_text(encoding="utf-8")
    found = statements(script, dialect)
    if not found:
        raise BadScript("the script has no statement")
    if not args.get("database"):
        raise BadScript(
            f"the job has no argument database; give it a {dialect} resource, such as $res:f/shop/{dialect}"
        )
    database = DIALECTS[dialect](args["database"])
    try:
        run_all(database, found, args)
    finally:
        database.connection.close()  # what is not committed is rolled back


def failure(error: BaseException) -> dict[str, Any]:
    notes = getattr(error, "__notes__", [])
    message = " ".join([str(error).strip(), *(f"({note})" for note in notes)])
    is_ours = not isinstance(error, BadScript) and not hasattr(error, "__notes__")
    found = {
        "message": message,
        "name": type(error).__name__,
        "stack": "\n".join(traceback.format_tb(error.__traceback__)) if is_ours else "",
    }
    if code := getattr(error, "sqlstate", None):
        found["code"] = code
    if os.environ.get("WM_FLOW_STEP_ID"):
        found["step_id"] = os.environ["WM_FLOW_STEP_ID"]
    return found


def main(dialect: str) -> int:
    try:
        run(dialect)
    except Exception as error:  # noqa: BLE001 whatever ends it is the job's error
        found = failure(error)
        print(f"{found['name']}: {found['message']}", file=sys.stderr)  # noqa: T201 the job's log
        Path("result.json").write_text(json.dumps(found), encoding="utf-8")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
