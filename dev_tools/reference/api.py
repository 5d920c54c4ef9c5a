"""The HTTP API, from the description that a running bridge gives of itself (`bridge/web/openapi.py`)."""

import json
import re
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final
from urllib.error import URLError

from dev_tools.places import ROOT
from dev_tools.ports import free_ports
from dev_tools.processes import Running
from dev_tools.reference.tables import code, codes, page, table

START_S: Final = 30.0
LOOK_S: Final = 0.05
JSON: Final = "application/json"
GROUPS: Final = (  # the first that fits, in this order
    ("Agents, their tokens and devices", re.compile(r"agent_workers|/workers/|/broker/")),
    ("Flows", re.compile(r"flow|resume")),
    ("Runs and jobs", re.compile(r"/jobs|concurrency")),
    ("Scripts", re.compile(r"/scripts")),
    ("Schedules", re.compile(r"/schedules")),
    ("Variables and resources", re.compile(r"/variables|/resources|/oauth|environment")),
    ("Custody, dead letters and late results", re.compile(r"/custody|/dead|/quarantine")),
    ("People, workspaces and the bridge itself", re.compile(r"")),
)

ABOUT: Final = (
    "Made from `GET /api/openapi.json` of a bridge without a broker; ask yours for its own, with the shape "
    "of each body and answer. A call carries `Authorization: Bearer <token>`; an error is plain text that "
    "says what is wrong and how to mend it. What differs from the original: "
    "[compatibility.md](../compatibility.md)."
)


def written() -> str:
    """Starts a bridge on a store of its own. Raises TimeoutError when it does not answer."""
    return page_of(description())


def page_of(described: Mapping[str, Any]) -> str:
    parts = [ABOUT]
    groups: dict[str, list[list[str]]] = {title: [] for title, _ in GROUPS}
    for path, operations in sorted(described["paths"].items()):
        title = next(title for title, pattern in GROUPS if pattern.search(path))
        groups[title] += [_row(method, path, one, described) for method, one in sorted(operations.items())]
    for title, rows in groups.items():
        parts += [f"## {title}", table(["call", "what it does", "query", "body"], rows)]
    return page("HTTP API", *parts)


def _row(method: str, path: str, operation: Mapping[str, Any], described: Mapping[str, Any]) -> list[str]:
    asked = [one["name"] for one in operation["parameters"] if one["in"] == "query"]
    body = operation.get("requestBody", {}).get("content", {}).get(JSON, {}).get("schema", {})
    summary = operation["summary"].replace("<", "&lt;")
    return [code(f"{method.upper()} {path}"), summary, codes(asked), codes(_fields(body, described))]


def _fields(schema: Mapping[str, Any], described: Mapping[str, Any]) -> Iterator[str]:
    """Those that must be there carry a star."""
    name = schema.get("$ref", "").rpartition("/")[2]
    known = described["components"]["schemas"].get(name, schema)
    for field in known.get("properties", {}):
        yield f"{field}*" if field in known.get("required", ()) else field


def description() -> dict[str, Any]:
    with tempfile.TemporaryDirectory() as folder:
        (port,) = free_ports(1)
        env = {"BRIDGE_STORE": f"{folder}/bridge.db", "BRIDGE_PORT": str(port), "PATH": "/usr/bin:/bin"}
        bridge = Running(_command(), env=env, log=Path(folder) / "log", cwd=ROOT)
        try:
            found: dict[str, Any] = json.loads(_asked(f"http://127.0.0.1:{port}/api/openapi.json"))
        finally:
            bridge.stop()
        return found


def _command() -> list[str]:
    return [sys.executable, "-m", "bridge", "serve", "--no-worker"]


def _asked(url: str) -> bytes:
    """The answer, once there is one."""
    end_s = time.monotonic() + START_S
    while time.monotonic() < end_s:
        try:
            with urllib.request.urlopen(url, timeout=START_S) as answer:  # noqa: S310 - our own
                told: bytes = answer.read()
                return told
        except URLError:
            time.sleep(LOOK_S)
    raise TimeoutError(f"no bridge answers at {url}")
