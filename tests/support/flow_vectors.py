"""Flows with what must come of them, for any driver: `tests/vectors/flows.json` says how they are written."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

FILE: Final = Path(__file__).parents[1] / "vectors" / "flows.json"
FAIL: Final = 'raise ValueError("boom")'


@dataclass(frozen=True, kw_only=True)
class Vector:
    """One row of the file, its flows and scripts written out as OpenFlow has them."""

    name: str
    value: Mapping[str, Any]
    args: Mapping[str, Any]
    run: Mapping[str, Any]
    flows: Mapping[str, Any]
    scripts: Mapping[str, Any]
    acts: Sequence[Mapping[str, Any]]
    offline: Sequence[str]
    expect: Mapping[str, Any]


@dataclass(frozen=True, kw_only=True)
class JobSeen:
    """A job as a driver pushed it, in the order of pushing, the flow's own first."""

    step_id: str | None
    kind: str
    tag: str
    scheduled_in_s: float = 0.0
    path: str | None = None
    priority: int | None = None
    pushed_after_s: float = 0.0  # since the flow was pushed


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What a driver saw of one vector."""

    status: str
    result: Any
    flow_status: Mapping[str, Any]
    jobs: Sequence[JobSeen]
    at_once: Mapping[str, int] = field(default_factory=dict)  # step id: the most that were out together
    ended_after_s: float = 0.0  # since the flow was pushed


def vectors() -> list[Vector]:
    return [_vector(row) for row in json.loads(FILE.read_text())["vectors"]]


def _vector(row: Mapping[str, Any]) -> Vector:
    return Vector(
        name=row["name"],
        value=full_value(row["flow"]),
        args=row.get("args", {}),
        run=row.get("run", {}),
        flows={path: full_value(flow) for path, flow in row.get("flows", {}).items()},
        scripts={path: script(one) for path, one in row.get("scripts", {}).items()},
        acts=row.get("acts", []),
        offline=row.get("offline", []),
        expect=row["expect"],
    )


def script(short: Mapping[str, Any]) -> dict[str, Any]:
    """A deployed script: `{"py", "params"?, "tag"?}`."""
    return {
        "content": code(short["py"], short.get("params", [])),
        "language": "python3",
        "tag": short.get("tag"),
    }


def code(body: str, params: Sequence[str]) -> str:
    body = FAIL if body == "fail" else body
    lines = "\n".join(f"    {line}" for line in body.splitlines())
    return f"def main({', '.join(params)}):\n{lines}\n"


def full_value(flow: Any) -> dict[str, Any]:
    """A list of modules, or a whole value."""
    value = {"modules": flow} if isinstance(flow, list) else dict(flow)
    value["modules"] = [_module(one) for one in value["modules"]]
    for special in ("failure_module", "preprocessor_module"):
        if special in value:
            value[special] = _module(value[special], "preprocessor" if special[0] == "p" else "main")
    return value


def _module(short: Mapping[str, Any], entry: str = "main") -> dict[str, Any]:
    module = {key: one for key, one in short.items() if key not in ("py", "in", "tag", "script", "flow")}
    given = short.get("in", {})
    inputs = {name: transform(one) for name, one in given.items()}
    if "py" in short:
        written = code(short["py"], list(given)).replace("def main", f"def {entry}")
        value = {"type": "rawscript", "content": written, "language": "python3", "input_transforms": inputs}
        module["value"] = value | ({"tag": short["tag"]} if "tag" in short else {})
    elif "script" in short:
        value = {"type": "script", "path": short["script"], "input_transforms": inputs}
        module["value"] = value | ({"tag_override": short["tag"]} if "tag" in short else {})
    elif "flow" in short:
        module["value"] = {"type": "flow", "path": short["flow"], "input_transforms": inputs}
    else:
        module["value"] = _compound(short["value"])
    for slot in ("sleep", "timeout"):
        if isinstance(module.get(slot), str):
            module[slot] = transform(module[slot])
    return module


def _compound(short: Mapping[str, Any]) -> dict[str, Any]:
    value = dict(short)
    for name in ("modules", "default"):
        if name in value:
            value[name] = [_module(one) for one in value[name]]
    if "branches" in value:
        value["branches"] = [
            {**branch, "modules": [_module(one) for one in branch["modules"]]} for branch in value["branches"]
        ]
    if "iterator" in value:
        value["iterator"] = transform(value["iterator"])
    if isinstance(value.get("parallelism"), str):
        value["parallelism"] = transform(value["parallelism"])
    return value


def transform(short: Any) -> dict[str, Any]:
    """A text that begins with `=` is JavaScript, all else a value."""
    if isinstance(short, str) and short.startswith("="):
        return {"type": "javascript", "expr": short[1:]}
    return {"type": "static", "value": short}


def check(vector: Vector, outcome: Outcome) -> None:
    """Asserts all that the vector expects."""
    expect = vector.expect
    assert outcome.status == expect["status"], (outcome.status, outcome.result)
    if "result" in expect:
        assert like(expect["result"], outcome.result), (expect["result"], outcome.result)
    check_shown(expect, outcome.flow_status)
    if "jobs" in expect:
        assert len(outcome.jobs) == expect["jobs"], outcome.jobs
    for name in ("tag", "kind", "scheduled_in_s", "path", "priority"):
        for step, wanted in expect.get(f"{name}s", {}).items():
            seen = [getattr(job, name) for job in outcome.jobs if (job.step_id or "") == step]
            assert seen == wanted, (name, step, seen)
    for step, least_s in expect.get("pushed_after_s", {}).items():
        assert min(job.pushed_after_s for job in outcome.jobs if job.step_id == step) >= least_s
    for step, most_s in expect.get("pushed_within_s", {}).items():
        assert max(job.pushed_after_s for job in outcome.jobs if job.step_id == step) <= most_s
    assert outcome.ended_after_s <= expect.get("ended_within_s", outcome.ended_after_s)
    for step, most in expect.get("at_once", {}).items():
        assert outcome.at_once[step] == most, outcome.at_once


def check_shown(expect: Mapping[str, Any], shown: Mapping[str, Any]) -> None:
    """What a status shows: `types` and `modules` (a part of each) of the steps, `status_has` of the rest."""
    if "step" in expect:
        assert shown["step"] == expect["step"], shown
    if "types" in expect:
        assert [one["type"] for one in shown["modules"]] == expect["types"], shown
    for wanted, module in zip(expect.get("modules", []), shown["modules"], strict=False):
        assert _has(wanted, module), (wanted, module)
    for key, wanted in expect.get("status_has", {}).items():
        assert _has(wanted, shown.get(key)), (key, wanted, shown.get(key))


def like(wanted: Any, seen: Any) -> bool:
    """Equal; of an error object the keys that are wanted."""
    if isinstance(wanted, dict) and isinstance(seen, dict) and wanted.keys() == {"error"} == seen.keys():
        return _has(wanted["error"], seen["error"])
    if isinstance(wanted, list) and isinstance(seen, list):
        return len(wanted) == len(seen) and all(map(like, wanted, seen))
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return wanted.keys() == seen.keys() and all(like(one, seen[key]) for key, one in wanted.items())
    return type(wanted) is type(seen) and bool(wanted == seen)


def _has(wanted: Any, seen: Any) -> bool:
    """As `like`, of an object the keys that are wanted; a number for a list is its length."""
    if isinstance(wanted, dict) and isinstance(seen, dict):
        return all(key in seen and _has(one, seen[key]) for key, one in wanted.items())
    if isinstance(wanted, int) and not isinstance(wanted, bool) and isinstance(seen, list):
        return len(seen) == wanted
    return like(wanted, seen)
