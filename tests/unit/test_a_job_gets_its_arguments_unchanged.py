from pathlib import Path

import pytest

from tests.unit.executing import Site

AWKWARD = [
    "it's",
    'say "hi"',
    "a b  c",
    "$HOME `id` $(id)",
    "line\nline\r\n",
    "\\n \\",
    "Grüße 🚚",
    "*",
    "-n",
    "",
]


@pytest.mark.parametrize("text", AWKWARD)
async def test_bash_gets_text_as_it_is(tmp_path: Path, text: str) -> None:
    ran = await Site(tmp_path).bash(
        'x="$1"\nprintf %s "$x" > result.out\n[ -s result.out ] || echo', {"x": text}
    )
    assert ran.document == text, ran.log


@pytest.mark.parametrize("text", AWKWARD)
async def test_python_gets_text_as_it_is(tmp_path: Path, text: str) -> None:
    ran = await Site(tmp_path).python("def main(x): return x", {"x": text})
    assert ran.document == text, ran.log


async def test_bash_gets_other_json_as_its_text(tmp_path: Path) -> None:
    code = 'a="$1"\nb="$2"\nc="$3"\nd="$4"\necho "$a|$b|$c|$d"'
    ran = await Site(tmp_path).bash(code, {"a": 1.5, "b": True, "c": {"k": ["é", None]}, "d": None})
    assert ran.document == '1.5|true|{"k":["é",null]}|null'


async def test_bash_gets_nothing_for_what_is_missing_and_its_default_then_holds(tmp_path: Path) -> None:
    code = 'local_name="$2"\nfirst="${1:-fallback}"  # why\necho "[$first][$local_name][$#]"'
    ran = await Site(tmp_path).bash(code)
    assert ran.document == "[fallback][][2]"


async def test_a_script_that_names_no_arguments_gets_none(tmp_path: Path) -> None:
    assert (await Site(tmp_path).bash('echo "$#"', {"x": 1})).document == "0"


async def test_an_argument_may_be_larger_than_a_command_line_allows(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash('x="$1"\necho "${#x}"', {"x": "y" * 3_000_000})
    assert ran.document == "3000000"


async def test_arguments_are_on_no_command_line(tmp_path: Path) -> None:
    ran = await Site(tmp_path).bash("x=\"$1\"\ntr '\\0' ' ' < /proc/$$/cmdline", {"x": "s3cret"})
    assert "main.sh" in ran.document
    assert "s3cret" not in ran.document


async def test_python_leaves_a_default_standing_for_null_and_gives_none_without_one(tmp_path: Path) -> None:
    code = "def main(a, b=2, *, c=3, d): return [a, b, c, d]"
    assert (await Site(tmp_path).python(code, {"b": None, "c": 4, "x": 9})).document == [None, 2, 4, None]


async def test_python_gives_everything_to_a_main_that_takes_everything(tmp_path: Path) -> None:
    code = "def main(a, **rest): return [a, rest]"
    assert (await Site(tmp_path).python(code, {"a": 1, "b": 2})).document == [1, {"b": 2}]


async def test_python_gets_bytes_and_dates_where_it_asks_for_them(tmp_path: Path) -> None:
    code = """
from datetime import date, datetime
from typing import Optional

def main(raw: bytes, day: date, at: datetime, maybe: Optional[datetime], none: "date | None", plain: str):
    return [raw == b"\\x00\\xff", day.year, at.tzinfo is not None, maybe.hour, none, plain]
"""
    args = {"raw": "AP8=", "day": "2026-11-24", "at": "2026-11-24T05:00:00Z", "maybe": "2026-11-24T07:00:00",
            "plain": "2026-11-24"}  # fmt: skip
    assert (await Site(tmp_path).python(code, args)).document == [True, 2026, True, 7, None, "2026-11-24"]


async def test_the_arguments_of_a_decorated_main_are_found(tmp_path: Path) -> None:
    code = """
import functools

def twice(function):
    @functools.wraps(function)
    def inner(*args, **kwargs):
        return [function(*args, **kwargs)] * 2
    return inner

@twice
def main(a, b=5): return a + b
"""
    assert (await Site(tmp_path).python(code, {"a": 1})).document == [6, 6]


async def test_null_means_no_arguments(tmp_path: Path) -> None:
    site = Site(tmp_path)
    assert (await site.bash('x="$1"\necho "[$x]"', b"null")).document == "[]"
    assert (await site.python("def main(x=1): return x", b"null")).document == 1
