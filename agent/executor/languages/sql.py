"""postgresql, mysql and sqlite at the site: a small program of ours runs the statements, as a job."""

import functools
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Final

from agent.executor.directory import JobDirectory
from agent.executor.errors import JobFailed
from agent.executor.languages.gate import gated
from agent.executor.languages.javascript import judged
from agent.executor.languages.language import Exit, Verdict
from agent.executor.task import Task

EXTRA: Final = "sql"
DRIVERS: Final[Mapping[str, str]] = {"postgresql": "psycopg", "mysql": "pymysql", "sqlite": "sqlite3"}
FILES: Final = ("sql_statements.py", "wrapper_sql.py")


class Sql:
    """The Python that runs the agent runs it too: beside it stand the drivers."""

    setting = "the agent's Python"
    result_is_last_line = False

    def __init__(self, dialect: str, driver: str | None = None) -> None:
        """`driver`: the module that knows the database; by default the one of the extra."""
        self._dialect = dialect
        self._driver = driver or DRIVERS[dialect]

    @property
    def why_not(self) -> str:
        return "" if find_spec(self._driver) else f"no {self._driver} (the extra {EXTRA})"

    def prepare(self, task: Task, args: Mapping[str, Any], directory: JobDirectory) -> Sequence[str]:
        del args  # the program reads them itself
        if self.why_not:
            raise JobFailed(
                "InterpreterMissing",
                f"{self._dialect} needs the driver {self._driver}, which is not installed beside the agent; "
                f'install it with the extra {EXTRA}: pip install "orvanta-edge[{EXTRA}]"',
            )
        directory.write("main.sql", task.code.encode())
        directory.write("args.json", task.args)
        for name in FILES:
            directory.write(name, _content(name))
        return gated(directory, [sys.executable, "-u", "-B", "wrapper_sql.py", self._dialect])

    def judge(self, directory: JobDirectory, exit_: Exit, most_bytes: int) -> Verdict:
        return judged(directory, exit_, most_bytes, "its last statement did")


@functools.cache
def _content(name: str) -> bytes:
    return Path(__file__).with_name(name).read_bytes()
