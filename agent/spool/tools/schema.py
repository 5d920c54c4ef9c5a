"""What a spool is made of, in numbers: for whoever helps, who is to see nothing of its content."""

from pathlib import Path
from typing import Any

from agent.spool.tools.opened import SQL, to_look


def schema_of(path: Path) -> dict[str, Any]:
    """Its version, tables, rows by kind, and files. Raises `ToolRefused`."""
    with to_look(path) as spool:
        version, mark, pages = (
            spool.db.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("user_version", "application_id", "page_count")
        )
        tables = {row["name"]: row["sql"] for row in spool.db.execute(SQL["tables"])}
        rows = {row["name"]: row["rows"] for row in spool.db.execute(SQL["row_counts"])}
        states = {row["state"]: row["rows"] for row in spool.db.execute(SQL["state_counts"])}
    return {
        "schema_version": version,
        "mark": f"{mark:#x}",
        "pages": pages,
        "tables": tables,
        "rows": rows,
        "states": states,
        "sealed": (path / "key-id").exists(),
        "documents": _sizes(path / "blobs"),
        "files": {
            file.name: file.stat().st_size
            for file in sorted(path.iterdir())
            if file.name.startswith("spool.db") and file.is_file()
        },
        "set_aside": sorted(aside.name for aside in path.glob("spool.damaged-*")),
    }


def _sizes(folder: Path) -> dict[str, int]:
    sizes = [file.stat().st_size for file in folder.iterdir()] if folder.is_dir() else []
    return {"count": len(sizes), "bytes": sum(sizes)}
