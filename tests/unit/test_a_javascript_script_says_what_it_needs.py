"""What is read out of the text of JavaScript and TypeScript, and of the scripts that it imports."""

from collections.abc import Mapping

import pytest

from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import imported_by, npm_request


def asked(code: str, scripts: Mapping[str, str] | None = None) -> dict[str, str]:
    return dict(npm_request(code, "f/shop/a", (scripts or {}).get).packages)


@pytest.mark.parametrize(
    ("code", "packages"),
    [
        ("", {}),
        ('import fs from "node:fs"\nimport path from "path"\nimport { serve } from "bun"', {}),
        ('import dayjs from "dayjs"', {"dayjs": "latest"}),
        ("import { a, b as c } from 'lodash/fp';", {"lodash": "latest"}),
        ("import d, { a } from 'x';import * as y from 'y'", {"x": "latest", "y": "latest"}),
        ('import {\n  a,\n  b,\n} from "x"', {"x": "latest"}),
        ('import "side-effect"', {"side-effect": "latest"}),
        ('import z from "zod@3.23.8"', {"zod": "3.23.8"}),
        ('import z from "npm:zod@^3"', {"zod": "^3"}),
        ('import s from "@scope/pkg/deep/file"', {"@scope/pkg": "latest"}),
        ('import s from "@scope/pkg@1.2.3/deep"', {"@scope/pkg": "1.2.3"}),
        ('export { x } from "x"\nexport * from "y"', {"x": "latest", "y": "latest"}),
        ('const a = require("a"); const b = await import("b")', {"a": "latest", "b": "latest"}),
        ('import a from "a"\nimport b from "a@2.0.0"', {"a": "2.0.0"}),
        ('import type { T } from "types-only"\nimport { type U, v } from "both"', {"both": "latest"}),
        ('// import x from "x"\n/* import y from "y"\n import z from "z" */', {}),
        ("const text = 'import x from \"x\"'; const t = `import y from 'y'`", {}),
        ('const url = "http://x" // "\nimport a from "a"', {"a": "latest"}),
        ("export async function main(x: string) { return `${x}` }", {}),
        ('import { main } from "./b"\nimport c from "/f/shop/c.ts"', {}),
    ],
)
def test_imports(code: str, packages: dict[str, str]) -> None:
    assert asked(code) == packages


SCRIPTS = {
    "f/shop/b": 'import dayjs from "dayjs"\nimport { a } from "./a"\nimport d from "../other/d.ts"',
    "f/other/d": 'import zod from "zod@3.23.8"',
}


def test_scripts_are_followed_wherever_they_lead() -> None:
    code = 'import { b } from "/f/shop/b.ts"\nimport zod from "zod"'
    assert asked(code, SCRIPTS) == {"dayjs": "latest", "zod": "3.23.8"}
    assert imported_by("bun", code, "f/shop/a", SCRIPTS.get) == ("f/shop/b",)


@pytest.mark.parametrize(
    ("code", "told"),
    [
        ('import x from "https://host/x.ts"', "only packages of npm"),
        ('import x from "jsr:@std/path"', "only packages of npm"),
        ('import x from "x@file:../y"', "only packages of npm"),
        ('import z from "zod@4.0.0"\nimport d from "/f/other/d"', "as 4.0.0 and as 3.23.8"),
    ],
)
def test_what_cannot_be_locked_is_told(code: str, told: str) -> None:
    with pytest.raises(NotResolved, match=told):
        asked(code, SCRIPTS)
