"""agent-api.md 7.4, by node: types are taken out, arguments go by name, and lines stay true."""

import shutil
from pathlib import Path
from typing import Final

import pytest

from agent.executor.languages.repertoire import repertoire_of
from agent.executor.limits import Limits
from tests.unit.executing import Ran, Site, entries, task

NODE: Final = shutil.which("node")
needs_node = pytest.mark.skipif(NODE is None, reason="node is not on this machine")
KNOWN: Final = repertoire_of({} if NODE is None else {"NODE_BIN": NODE, "BUN_PATH": ""}).known

ALL: Final = """\
import type { Shop } from "nowhere";
enum Kind { Small, Large }
// what is in a comment ( does not count
export async function main(
  b: string, a: Array<Map<string, number>> = [], d?: Date, n: number /* , x */ = ")".length,
  { e }: { e: number } = { e: 1 }, nothing: string | null, ...rest: number[]
): Promise<Record<string, unknown>> {
  console.log("said by", b satisfies string, process.env.WM_JOB_ID);
  return { b, a, d, n, e, nothing, rest, kind: Kind.Large, big: 10n ** 20n, small: 5n, nan: NaN, u: undefined,
           map: new Map([["k", new Set([1])]]), bytes: new Uint8Array([1, 2]), date: d instanceof Date };
}
"""
LATE: Final = """\
export async function main() {
  setTimeout(() => { throw new RangeError("late") });
  await new Promise((resolve) => setTimeout(resolve, 9e6));
}
"""


async def ran(
    folder: Path, code: str, args: object = None, limits: Limits | None = None, **more: object
) -> Ran:
    return await Site(folder, limits, languages=KNOWN).run(task(code, "bun", args, **more))


@needs_node
async def test_arguments_go_by_name_and_values_come_back_as_json(tmp_path: Path) -> None:
    args = {"a": [1], "b": "zoé", "d": "2026-01-01T00:00:00Z", "nothing": None, "rest": [1, 2], "unknown": 7}
    job = await ran(tmp_path, ALL, args)
    assert job.outcome.success, job.log
    assert job.document == {
        "b": "zoé", "a": [1], "d": "2026-01-01T00:00:00.000Z", "n": 1, "e": 1, "nothing": None,
        "rest": [1, 2], "kind": 1, "big": str(10**20), "small": 5, "nan": None, "u": None, "map": {"k": [1]},
        "bytes": "AQI=", "date": True,
    }  # fmt: skip
    assert "said by zoé 0190-job" in job.log
    assert not entries(tmp_path)


@needs_node
async def test_an_error_names_the_line_that_was_written(tmp_path: Path) -> None:
    code = """\
type T = { a: string };
class NoStock extends Error { code = 7; name = "NoStock" }

export function main(): T {
  throw new NoStock("none left");
}
"""
    job = await ran(tmp_path, code, env={"WM_FLOW_STEP_ID": "c"})
    assert not job.outcome.success
    assert job.outcome.exit_code == 1
    error = job.document
    assert (error["name"], error["message"], error["step_id"]) == ("NoStock", "none left", "c")
    assert error["extra"] == {"code": 7}
    assert ":5:" in error["stack"]
    assert "wrapper" not in error["stack"]
    assert "none left" in job.log


@needs_node
async def test_a_stream_is_shown_as_it_comes_and_is_the_result(tmp_path: Path) -> None:
    job = await ran(tmp_path, 'export async function* main() { yield "a\\nb"; yield "c" }')
    assert job.document == "a\nbc"
    assert "WM_STREAM: a\\nb\nWM_STREAM: c\n" in job.log


@needs_node
@pytest.mark.parametrize(
    ("code", "name", "words"),
    [
        ("export const other = 1", "TypeError", "exports no function main"),
        ("export function main( {", "SyntaxError", "(1:"),
        ("export function main() { const a = {}; a.a = a; return a }", "TypeError", "circular"),
        (LATE, "RangeError", "late"),
    ],
)
async def test_what_goes_wrong_is_named(tmp_path: Path, code: str, name: str, words: str) -> None:
    job = await ran(tmp_path, code)
    assert job.document["name"] == name
    assert words in job.document["message"]


@needs_node
async def test_one_that_leaves_early_has_no_result(tmp_path: Path) -> None:
    job = await ran(tmp_path, "export function main() { process.exit(0) }")
    assert job.document["name"] == "BadResult"
    assert "before main returned" in job.document["message"]


@needs_node
async def test_a_job_is_stopped_at_its_time_limit(tmp_path: Path) -> None:
    job = await ran(tmp_path, "export function main() { for (;;); }", timeout_s=1)
    assert job.outcome.canceled_by == "timeout"


async def test_a_missing_engine_says_how_to_mend_it(tmp_path: Path) -> None:
    here = repertoire_of({name: f"/no/such/{name}" for name in ("NODE_BIN", "BUN_PATH", "DENO_PATH")})
    assert not {"bun", "nativets", "deno"} & set(here.runs)
    job = await Site(tmp_path, languages=here.known).run(task("export function main() {}", "nativets"))
    assert job.document["name"] == "InterpreterMissing"
    assert "NODE_BIN" in job.document["message"]


IMPORTS: Final = """\
import { price } from "./prices";
import { round } from "/f/office/rounding.ts";
import { twice } from "doubling@1.2.3";
import half from "@shop/half@^2/lib.js";
import { sep } from "node:path";
export async function main(n: number): Promise<number[]> {
  return [price(n), round(2.6), twice(n), half(n), sep.length];
}
"""


@needs_node
async def test_what_it_imports_of_its_workspace_and_of_its_packages_is_found(tmp_path: Path) -> None:
    packages = tmp_path / "packages" / "node_modules"
    for name, code in (("doubling", "exports.twice = (n) => 2 * n;"), ("@shop/half", "")):
        (packages / name).mkdir(parents=True)
        (packages / name / "index.js").write_text(code)
    (packages / "@shop/half/lib.js").write_text("module.exports = (n) => n / 2;")
    scripts = {
        "f/shop/prices": "import { round } from '../office/rounding';\n"
        "export const price = (n: number): number => round(n * 1.5);",
        "f/office/rounding": "export function round(n: number) { return Math.round(n); }",
    }
    env = {"WM_JOB_PATH": "f/shop/till"}
    job = await ran(
        tmp_path / "work", IMPORTS, {"n": 10}, scripts=scripts, packages=str(packages.parent), env=env
    )
    assert job.document == [15, 3, 20, 5, 1], job.log
    assert not entries(tmp_path / "work")
    assert (packages / "doubling" / "index.js").exists()
