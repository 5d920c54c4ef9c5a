"""Whoever may deploy must not be able to hold up the bridge, which reads scripts while it deploys them."""

import time
from contextlib import suppress

import pytest

from bridge.dependencies.errors import NotResolved
from bridge.dependencies.gathering import npm_request, python_request
from bridge.dependencies.precomputed import precomputed

MOST_S = 5.0  # of processor time; each took minutes, or for ever, before it was bounded
SIZE = 1_000_000


def filled(piece: str) -> str:
    return piece * (SIZE // len(piece))


@pytest.mark.parametrize(
    "code",
    [
        filled("import a "), filled("/*"), filled("`${"), filled("import type x "), filled("import {a,"),
        filled("'"), filled('"\\'), filled("require('"), filled("export "),
    ],
    ids=range(9),
)  # fmt: skip
def test_of_javascript(code: str) -> None:
    began_s = time.process_time()
    npm_request(code, "f/shop/a", {}.get)
    assert time.process_time() - began_s < MOST_S


@pytest.mark.parametrize(
    "code",
    [
        filled("# /// script\n"), filled("# requirements:\n"), filled("import os\n"), filled("(" * 50),
        "x = " + "(" * 50_000, "x = " + "-" * 50_000 + "1", "a.b" * 30_000, filled("def main(\n"),
        filled("# pin: # pin: "), "import x # pin: " + "=" * 100_000,
        "# requirements:\n# x" + " " * 100_000 + "[",
    ],
    ids=range(11),
)  # fmt: skip
def test_of_python(code: str) -> None:
    began_s = time.process_time()
    precomputed(code)
    with suppress(NotResolved):
        python_request(code, "f/shop/a", {}.get)
    assert time.process_time() - began_s < MOST_S
