"""pyproject.toml holds it; nothing else does."""

import tomllib
from pathlib import Path

import pytest

from agent import __main__ as program
from agent import release
from dev_tools.places import ROOT
from tests.meta.tree import texts

NUMBER = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]


def test_what_is_installed_says_it() -> None:
    assert release.version() == NUMBER


def test_a_checkout_that_nobody_installed_says_it_too() -> None:
    assert release.version_in(release.BESIDE) == NUMBER


def test_who_cannot_know_says_so(tmp_path: Path) -> None:
    strange = tmp_path / "pyproject.toml"
    assert release.version_in(strange) == release.UNKNOWN
    strange.write_text('[project]\nname = "something-else"\nversion = "3.0"\n')
    assert release.version_in(strange) == release.UNKNOWN
    strange.write_text("[project")
    assert release.version_in(strange) == release.UNKNOWN


def test_no_line_of_code_has_it() -> None:
    literal = f'"{NUMBER}"'
    code = [(path, text) for path, text in texts() if path.parts[0] in {"agent", "bridge", "dev_tools"}]
    assert [str(path) for path, text in code if literal in text] == []


def test_it_is_printed_without_a_spool(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        program.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"Orvanta Edge {NUMBER}\n"
