"""A child of the job's group runs the statements, so that limits and stops hold for it as for any job."""

import sqlite3
from pathlib import Path
from typing import Any, Final

import pytest

from agent.executor.languages.repertoire import Repertoire, repertoire_of
from agent.executor.languages.sql import Sql
from dev_tools.database import DatabaseServer
from tests.unit.executing import Ran, Site, task

KNOWN: Final = repertoire_of({}).known

SCRIPT: Final = """\
-- $1 name (text)
-- $2 n (bigint) = 5
CREATE TABLE stock (id {id} PRIMARY KEY, name TEXT, n BIGINT);
INSERT INTO stock VALUES (1, $1, $2), (2, 'a;b $1', $2);
SELECT id, name, n, {bytes} AS b, NULL AS none FROM stock WHERE name = $1 OR n > $2 ORDER BY id;
"""


async def ran(folder: Path, dialect: str, script: str, args: dict[str, Any], **more: Any) -> Ran:
    return await Site(folder / "work", languages=KNOWN).run(task(script, dialect, args, **more))


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(tmp_path / "shop.db")


async def test_the_rows_of_the_last_statement_are_the_result(tmp_path: Path, file: str) -> None:
    script = SCRIPT.format(id="INTEGER", bytes="x'0102'")
    job = await ran(tmp_path, "sqlite", script, {"database": file, "name": "zoé"})
    assert job.outcome.success, job.log
    assert job.document == [{"id": 1, "name": "zoé", "n": 5, "b": "AQI=", "none": None}]
    assert "statement at line 5: 1 rows" in job.log
    assert sqlite3.connect(file).execute("SELECT count(*) FROM stock").fetchone() == (2,)
    job = await ran(tmp_path, "sqlite", "DELETE FROM stock", {"database": {"path": file}})
    assert job.document == []


async def test_what_fails_is_named_with_its_line_and_leaves_nothing_half_done(
    tmp_path: Path, file: str
) -> None:
    script = "CREATE TABLE a (b INT);\n\nINSERT INTO nowhere VALUES (1);"
    job = await ran(tmp_path, "sqlite", script, {"database": file}, env={"WM_FLOW_STEP_ID": "c"})
    assert job.outcome.exit_code == 1
    assert job.document["name"] == "OperationalError"
    assert job.document["message"].endswith("no such table: nowhere (in the statement that begins at line 3)")
    assert job.document["step_id"] == "c"
    assert sqlite3.connect(file).execute("SELECT * FROM sqlite_master").fetchall() == []
    job = await ran(tmp_path, "sqlite", "CREATE TABLE a (b)", {"database": {"path": file, "readonly": True}})
    assert "readonly database" in job.document["message"]


@pytest.mark.parametrize(
    ("script", "args", "words"),
    [
        ("SELECT 1", {}, "no argument database"),
        ("SELECT 1", {"database": {"host": "x"}}, "must be a path"),
        ("-- only a word", {"database": "x.db"}, "no statement"),
    ],
)
async def test_a_job_without_a_database_says_what_is_wanted(
    tmp_path: Path, script: str, args: dict[str, Any], words: str
) -> None:
    assert words in (await ran(tmp_path, "sqlite", script, args)).document["message"]


async def test_a_missing_driver_names_the_extra(tmp_path: Path) -> None:
    here = Repertoire({"mysql": Sql("mysql", "no_such_driver")})
    assert "mysql" not in here.runs
    job = await Site(tmp_path, languages=here.known).run(task("SELECT 1", "mysql"))
    assert job.document["name"] == "InterpreterMissing"
    assert "[sql]" in job.document["message"]


async def test_a_statement_that_takes_too_long_is_stopped(tmp_path: Path, file: str) -> None:
    script = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) FROM n"
    job = await ran(tmp_path, "sqlite", script, {"database": file}, timeout_s=1)
    assert job.outcome.canceled_by == "timeout"


async def test_postgresql_keeps_its_own_types(tmp_path: Path, database_server: DatabaseServer) -> None:
    with database_server.fresh("template1") as name:
        url = database_server.url(name)
        script = SCRIPT.format(id="INT", bytes=r"'\x0102'::bytea")
        job = await ran(tmp_path, "postgresql", script, {"database": url, "name": "50 %"})
        assert job.outcome.success, job.log
        assert job.document == [{"id": 1, "name": "50 %", "n": 5, "b": "AQI=", "none": None}]
        typed = (
            "-- $1 many (int[])\n-- $2 doc (jsonb)\n-- $3 day (date)\n-- $4 price (numeric)\n"
            "SELECT $1 AS many, $2->'a' AS doc, $3 AS day, $4 AS price, 'NaN'::float8 AS nan"
        )
        args = {"database": url, "many": [1, 2], "doc": {"a": [1]}, "day": "2026-01-02", "price": 1.25}
        job = await ran(tmp_path, "postgresql", typed, args)
        assert job.document == [
            {"many": [1, 2], "doc": [1], "day": "2026-01-02", "price": 1.25, "nan": None}
        ], job.log
        wrong = await ran(tmp_path, "postgresql", "SELECT 1;\nSELECT nope", {"database": url})
        assert (wrong.document["name"], wrong.document["code"]) == ("UndefinedColumn", "42703")
        assert "line 2" in wrong.document["message"]


async def test_postgresql_that_is_away_is_named(tmp_path: Path) -> None:
    database = {"host": "127.0.0.1", "port": 1, "user": "x", "dbname": "shop"}
    job = await ran(tmp_path, "postgresql", "SELECT 1", {"database": database})
    assert job.document["name"] == "OperationalError"
    assert "127.0.0.1" in job.document["message"]
