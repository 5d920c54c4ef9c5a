"""docs/reference is written by `./dev reference`, and stale as soon as the code says something else."""

import pytest

from dev_tools.reference import job_errors, meanings, settings
from dev_tools.reference.pages import FOLDER, PAGES


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_as_it_would_be_written_now(name: str) -> None:
    written = (FOLDER / name).read_text()
    assert PAGES[name]() == written, "run ./dev reference"


def test_every_setting_has_a_meaning_and_no_meaning_is_left_over() -> None:
    read = {one.name for one in settings.found()} | set(settings.OF_PYTHON)
    assert set(meanings.SETTINGS) == read


def test_every_error_name_has_a_meaning_and_no_meaning_is_left_over() -> None:
    assert set(meanings.ERRORS) == set(job_errors.found())


def test_nothing_else_lies_there() -> None:
    assert {path.name for path in FOLDER.iterdir()} == set(PAGES)
