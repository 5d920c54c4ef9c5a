"""What pyproject.toml asks for and what constraints.txt gives are the same."""

import re
import tomllib
from importlib.metadata import distributions

from dev_tools.lock import CONSTRAINTS
from dev_tools.places import ROOT


def pins(lines: list[str]) -> dict[str, str]:
    """Name → version; names as packaging compares them."""
    split = [line.split("==") for line in lines if "==" in line]
    return {re.sub(r"[-_.]+", "-", name).lower(): version for name, version in split}


def test_every_dependency_is_pinned_and_locked_to_the_same_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = project["dependencies"] + [
        one for extra in project["optional-dependencies"].values() for one in extra
    ]
    assert len(pins(asked)) == len(set(asked))  # each has an exact version, and one only
    locked = pins(CONSTRAINTS.read_text().splitlines())
    assert {name: locked.get(name) for name in pins(asked)} == pins(asked)


def test_nothing_is_installed_that_is_not_locked() -> None:
    installed = {re.sub(r"[-_.]+", "-", one.name).lower() for one in distributions()}
    tools_of_the_environment = {"pip", "setuptools", "wheel", "orvanta-edge"}
    assert installed - set(pins(CONSTRAINTS.read_text().splitlines())) <= tools_of_the_environment
