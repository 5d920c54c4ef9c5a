"""The README's first promise: two commands on a fresh machine."""

import re
import subprocess

from dev_tools.__main__ import COMMANDS
from dev_tools.places import ROOT


def test_the_readme_names_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()
    assert "./dev demo" in readme
    assert "./dev test" in readme


def test_every_command_in_the_readme_exists() -> None:
    named = set(re.findall(r"\./dev ([a-z]+)", (ROOT / "README.md").read_text()))
    assert named <= set(COMMANDS)


def test_dev_explains_each_of_its_commands() -> None:
    said = subprocess.run([ROOT / "dev", "help"], capture_output=True, text=True, check=True).stdout
    explained = set(re.findall(r"^  ([a-z]+)", said, re.MULTILINE))
    assert explained == set(COMMANDS)
