from pathlib import Path
from typing import Any

import pytest

from agent.executor import json_text
from tests.unit.executing import Site


@pytest.mark.parametrize(
    ("expression", "document"),
    [
        ("None", None),
        ("[float('nan'), float('inf'), -float('inf'), 1.5]", [None, None, None, 1.5]),
        ("{'NaN': 'NaN'}", {"NaN": "NaN"}),
        ("b'\\x00\\xff'", "AP8="),
        ("{'nested': [b'a', bytearray(b'b')]}", {"nested": ["YQ==", "Yg=="]}),
        ("datetime(2026, 11, 24, 5)", "2026-11-24 05:00:00"),
        ("Decimal('1.10')", "1.10"),
        ("'a\\0b'", "anullb"),
        ("'\\ud800'", "\ufffd"),
        ("'\\ud83d\\ude9a'", "🚚"),
        ("{1: (1, 2), None: True}", {"1": [1, 2], "null": True}),
        (
            "{'mixed': [float('nan'), datetime(2026, 1, 1), b'a']}",
            {"mixed": [None, "2026-01-01 00:00:00", "YQ=="]},
        ),
        ("DataFrame()", [[1, None], ["x", "YQ=="]]),
    ],
)
async def test_whatever_main_returns(tmp_path: Path, expression: str, document: Any) -> None:
    code = f"""
from datetime import datetime
from decimal import Decimal

class DataFrame:
    def rows(self): return [(1, float("nan")), ("x", b"a")]

def main(): return {expression}
"""
    ran = await Site(tmp_path).python(code)
    assert ran.outcome.success, ran.log
    assert json_text.parse(ran.outcome.result) == document


async def test_a_generator_is_shown_as_it_comes_and_is_the_result(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("def main():\n    yield 'one\\n'\n    yield 2")
    assert ran.log == "WM_STREAM: one\\n\nWM_STREAM: 2\n"
    assert ran.document == "one\n2"


async def test_a_stream_may_be_part_of_a_result(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("def main(): return {'a': 1, 'wm_stream': (c for c in 'xy')}")
    assert ran.document == {"a": 1, "wm_stream": "xy"}


async def test_a_main_may_be_asynchronous(tmp_path: Path) -> None:
    assert (await Site(tmp_path).python("async def main(x): return x", {"x": 3})).document == 3


async def test_what_cannot_be_json_fails_the_job_by_name(tmp_path: Path) -> None:
    ran = await Site(tmp_path).python("def main():\n    a = []\n    a.append(a)\n    return a")
    assert not ran.outcome.success
    assert ran.document["name"] in ("ValueError", "RecursionError")


async def test_a_script_whose_path_is_that_of_a_standard_module_does_not_stand_in_its_way(
    tmp_path: Path,
) -> None:
    code = "import json\ndef main(): return [json.loads('1'), __name__]"
    assert (await Site(tmp_path).python(code, path="json/x")).document == [1, "json_.x"]
    assert (await Site(tmp_path).python(code, path="f/a-b/../c d.py")).document == [1, "f.a_b.c_d_py"]
