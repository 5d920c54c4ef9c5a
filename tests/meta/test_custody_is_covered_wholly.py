"""A line of custody that no test reaches fails the gate, by file and number."""

from pathlib import Path

import pytest
from coverage import Coverage

from dev_tools.gate import COVERED_WHOLLY, every_line_is_covered
from dev_tools.places import ROOT

CODE = "def choose(job):\n    if job:\n        return job\n    return None\n"


def covered_by(folder: Path, test: str) -> Path:
    """Runs `test` on a room of its own, as a suite would; where the data of that run are."""
    room = folder / "room"
    room.mkdir()
    (room / "chooser.py").write_text(CODE)
    measured = Coverage(
        data_file=str(folder / "coverage" / "data"), branch=True, source=[str(room)], config_file=False
    )
    scope: dict[str, object] = {}
    with measured.collect():
        exec(compile(CODE, room / "chooser.py", "exec"), scope)  # noqa: S102 the lines of this test
        exec(test, scope)  # noqa: S102 the same
    measured.save()
    return room


@pytest.mark.parametrize(
    ("test", "missing"),
    [("choose(1)", "4"), ("choose(0)", "3"), ("[choose(1), choose(0)]", None)],
)
def test_what_no_test_reached_is_named(tmp_path: Path, test: str, missing: str | None) -> None:
    room = covered_by(tmp_path, test)
    verdict = every_line_is_covered([str(room)], tmp_path)
    assert verdict.passed == (missing is None), verdict.text
    if missing is not None:
        (line,) = [line for line in verdict.text.splitlines() if "chooser.py" in line]
        assert line.endswith(missing)


def test_the_rooms_are_there() -> None:
    assert [room for room in COVERED_WHOLLY if not list((ROOT / room).glob("*.py"))] == []
