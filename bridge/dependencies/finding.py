"""Where the scripts that a script imports are found, and how a job takes them along."""

from dataclasses import replace
from functools import cache

from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import Find, imports_scripts, scripts_of
from bridge.dependencies.locks import OF_NPM, PYTHON, SQL
from bridge.jobs.model import Pulled
from bridge.store.store import Connection, Store


def find_in(connection: Connection, workspace: str, language: str) -> Find:
    """Scripts of the workspace that can be imported from one of this language. For one transaction."""
    family = OF_NPM if language in OF_NPM else {PYTHON}

    @cache
    def find(path: str) -> str | None:
        row = connection.execute(SQL["content"], {"workspace_id": workspace, "path": path}).fetchone()
        return row["content"] if row is not None and row["language"] in family else None

    return find


async def with_scripts(store: Store, job: Pulled) -> Pulled:
    """With the code of all it imports of the workspace: a site that is cut off could ask nobody for it.

    What would be too many it goes without: its lock says so, and so will its import.
    """
    if not imports_scripts(job.language, job.code, job.path):
        return job
    try:
        scripts = await store.read(
            lambda connection: scripts_of(
                job.language, job.code, job.path, find_in(connection, job.workspace, job.language)
            )
        )
    except NotResolved:
        return job
    return replace(job, scripts=scripts)
