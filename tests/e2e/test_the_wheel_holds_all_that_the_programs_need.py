"""The wheel, built offline and installed elsewhere: its content, its two programs, and one release number."""

import shutil
import subprocess
import sys
import sysconfig
import tomllib
import zipfile
from email import message_from_bytes
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dev_tools.places import ROOT
from tests.support.world import environment

RELEASE: Final = "7.8.9"  # of the copy that is built; no line of code may know another
LEFT_OUT: Final = ("tests", "bench", "dev_tools")
CACHES: Final = shutil.ignore_patterns("__pycache__")


class Installed(NamedTuple):
    wheel: Path
    programs: Path  # the folder of the virtual environment's

    def run(self, *words: str) -> str:
        """What it says, called from a folder that is no checkout."""
        folder = self.wheel.parent
        command = [str(self.programs / words[0]), *words[1:]]
        env = environment({"BRIDGE_STORE": str(folder / "bridge.db")}) | {"PYTHONPATH": ""}
        ended = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stderr
        return ended.stdout


def pip(*words: str | Path) -> None:
    command = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", *map(str, words)]
    subprocess.run(command, check=True)


def copied(to: Path) -> Path:
    """The checkout, under another release number."""
    for name in ("agent", "bridge", *LEFT_OUT):
        shutil.copytree(ROOT / name, to / name, ignore=CACHES)
    shutil.copy(ROOT / "README.md", to)
    text = (ROOT / "pyproject.toml").read_text()
    number = tomllib.loads(text)["project"]["version"]
    (to / "pyproject.toml").write_text(text.replace(f'version = "{number}"', f'version = "{RELEASE}"', 1))
    return to


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Installed:
    """In an environment of its own, which finds the dependencies in ours, but not our checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    source = copied(folder / "source")
    pip("wheel", "--no-deps", "--no-build-isolation", "--wheel-dir", folder, source)
    (wheel,) = folder.glob("*.whl")
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", folder / "venv"], check=True)
    python = folder / "venv" / "bin" / "python"
    (packages,) = folder.glob("venv/lib/python*/site-packages")
    (packages / "dependencies.pth").write_text(sysconfig.get_path("purelib"))
    pip("--python", python, "install", "--no-deps", "--no-index", "--no-compile", wheel)
    return Installed(wheel, python.parent)


def test_it_holds_every_file_of_both_packages_and_no_other(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    wanted = {
        path.relative_to(ROOT).as_posix()
        for name in ("agent", "bridge")
        for path in (ROOT / name).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }
    assert held == wanted
    assert any(name.endswith("vendor/htmx.LICENSE") for name in held)


def test_the_base_is_the_agents_and_the_rest_are_extras(installed: Installed) -> None:
    with zipfile.ZipFile(installed.wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        said = message_from_bytes(archive.read(name))
    assert set(said.get_all("Provides-Extra") or []) >= {"agent", "bridge", "dev"}
    needs = said.get_all("Requires-Dist") or []
    assert [one for one in needs if 'extra == "agent"' in one] == []
    assert not any("starlette" in one for one in needs if "extra ==" not in one)


@pytest.mark.parametrize("program", ["orvanta-agent", "orvanta-bridge"])
def test_each_program_says_its_release_and_how_it_is_called(installed: Installed, program: str) -> None:
    assert installed.run(program, "--version") == f"Orvanta Edge {RELEASE}\n"
    assert installed.run(program, "--help").startswith(f"usage: {program} ")
    module = program.removeprefix("orvanta-")
    assert installed.run("python", "-m", module, "--version") == f"Orvanta Edge {RELEASE}\n"
    assert installed.run("python", "-m", module, "--help").startswith(f"usage: python -m {module} ")


def test_what_runs_is_what_was_installed(installed: Installed) -> None:
    assert "/venv/" in installed.run("python", "-c", "import agent; print(agent.__file__)")
